"""Random operators and networks, the same ones for the same seed, to try all this with."""

from host.samples.networks import network
from host.samples.operators import MAKERS, graph_of, int8, tensor

__all__ = ["MAKERS", "graph_of", "int8", "network", "tensor"]
