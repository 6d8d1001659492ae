"""Where tensors lie relative to each other: regions of images, and tensors that share memory."""
