"""The hardware of Systolith, with a folder for each unit of the data path."""

__version__ = "0.1.0"
