"""What computes beside the convolution core: addition, pooling, residual operands."""
