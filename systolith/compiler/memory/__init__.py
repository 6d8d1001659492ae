"""Where tensors lie in the activation memory."""
