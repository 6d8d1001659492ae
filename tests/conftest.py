"""What holds for all tests."""

import os

# Importing ``readline``, as pytest does, exports the size of a terminal that nothing here writes
# to; tables are as wide as they like where there is none.
for _name in "COLUMNS", "LINES":
    os.environ.pop(_name, None)
