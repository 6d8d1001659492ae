"""NumPy models of every unit; they know nothing of the RTL."""
