"""How a convolution becomes tiles, bands and ways through an array: all that follows from its shape
and the build alone, before any layer is compiled."""
