"""The parts of the bench, in the order in which they run."""

import assignments
import connect
import fleet
import sign_in

PARTS = {"signin": sign_in, "connect": connect, "assignments": assignments, "fleet": fleet}
