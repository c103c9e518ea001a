"""The parts of the bench, in the order in which they run."""

import assignments
import sign_in

PARTS = {"signin": sign_in, "assignments": assignments}
