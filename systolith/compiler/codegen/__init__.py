"""From layers to the words of a program."""
