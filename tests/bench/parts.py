"""The parts of the bench, in the order in which they run."""

import sign_in

PARTS = {"signin": sign_in}
