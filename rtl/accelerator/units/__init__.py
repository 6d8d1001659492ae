"""Units that compute beside the convolution core: addition, pooling, residual operands."""
