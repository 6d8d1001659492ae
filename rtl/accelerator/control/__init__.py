"""Control: the host port, the sequencer, and the descriptors that it loads."""
