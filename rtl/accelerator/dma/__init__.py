"""Movement of words between memories and units: address generators, readers and the writer."""
