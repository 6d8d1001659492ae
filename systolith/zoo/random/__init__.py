"""Random operators and networks, the same ones for the same seed, to try all this with."""

from systolith.zoo.random.movements import MOVEMENTS
from systolith.zoo.random.networks import (
    Chain,
    autoencoder,
    moving,
    network,
    residual,
    with_zeros,
)
from systolith.zoo.random.onnx_networks import FORMS, MOVING, onnx_network
from systolith.zoo.random.operators import MAKERS, graph_of, int8, tensor

__all__ = ["Chain", "FORMS", "MAKERS", "MOVEMENTS", "MOVING", "autoencoder", "graph_of", "int8",
           "moving", "network", "onnx_network", "residual", "tensor", "with_zeros"]
