"""Everything on the host: importers, runs on the simulated cores, the command line."""
