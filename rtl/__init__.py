"""Hardware of Systolith: one folder for each unit of the data path."""

__version__ = "0.1.0"
