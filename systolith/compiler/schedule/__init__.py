"""In which order operators run, and which of them run together."""
