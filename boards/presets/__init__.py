"""One file a board: what it is called, its part and pins, its clock, and the build for it."""
