"""A quantised network as importers give it, and the numbers that follow from its scales."""

from dataclasses import dataclass, field

import numpy as np

from sim.golden import float32
from sim.golden.operators import activation_range

__all__ = ["POINTWISE", "Graph", "ModelError", "Operator", "Tensor", "rescale"]

#: Kinds of operators that take each number by itself to another one.
POINTWISE = {"HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1",
             "TANH"}


class ModelError(Exception):
    """A model that cannot be read, is damaged, or asks for what is not supported."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A value that operators pass on, or a constant.

    ``real = scale * (number - zero_point)``. Weights may have a scale for each index of ``axis``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "int8"
    scales: tuple[float, ...] = ()  #: float32 values; none where nothing is quantised.
    zero_point: int = 0
    axis: int = 0
    data: np.ndarray | None = field(default=None, repr=False)  #: Of constants only.
    layout: str = "NHWC"  #: Order of an image's axes in the file; here it is always NHWC.
    unsigned: bool = False  #: The file has uint8: its numbers and zero point are 128 more.

    @property
    def scale(self):
        """The only scale of an activation."""
        return self.scales[0]

    @property
    def size(self):
        """Height and width of an image; with less than four axes it has one line, or one pixel."""
        return (1, 1, *self.shape[1:-1])[-2:]


def rescale(kind, x, weights, y):
    """``s_in * s_w / s_out`` in float64, for each scale of the ``weights`` of an operator of
    ``kind``. The one scale of a fully connected layer is multiplied in float32."""
    products = np.float64(x.scale) * np.array(weights.scales)
    if kind == "FULLY_CONNECTED" and len(weights.scales) == 1:
        with np.errstate(over="ignore"):  # infinite then
            products = products.astype(np.float32).astype(np.float64)
    return products / y.scale


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator: ``kind`` is TFLite's name, tensors are given by index, -1 where left out.

    ``attributes`` by kind; ``padding`` is ((top, bottom), (left, right)) but for PAD, where it has
    a pair for each axis:

    * CONV_2D, DEPTHWISE_CONV_2D: ``stride``, ``dilation``, ``padding``, ``activation``
    * TRANSPOSE_CONV: ``stride``, ``padding``, ``activation``; stride and padding are those of the
      convolution that it transposes; its inputs are the shape of the result, weights, image and
      biases: :meth:`Graph.layer` has them in the order of other layers
    * AVERAGE_POOL_2D, MAX_POOL_2D: ``kernel``, ``stride``, ``padding``, ``activation``
    * FULLY_CONNECTED, ADD: ``activation``
    * SOFTMAX: ``beta``; LEAKY_RELU: ``alpha``; PAD: ``padding``
    * RESHAPE, and the others of :data:`POINTWISE`, QUANTIZE from int8 to int8: none
    * RESIZE_NEAREST_NEIGHBOR: ``factor`` (h, w), how often each line and pixel is repeated
    * MEAN, over lines and pixels, which the result has as axes of 1 or not at all: none; of three
      axes the second one is that of the pixels
    * CONCATENATION, of 2 to 10 operands along the channels: none

    ``range``, bounds (low, high) in int8, may stand in place of ``activation``.

    In a graph of the rounding float32 there are neither activations nor RELUs, TANH, HARD_SWISH and
    TRANSPOSE_CONV; what computes new numbers has ``range``, their bounds (low, high) in int8, and
    takes any scale to any other. AVERAGE_POOL_2D has ``count_padding``, whether padding counts as
    zeros; SOFTMAX has no ``beta``. LOCAL_RESPONSE_NORMALIZATION has ``size``, ``alpha``, ``beta``
    and ``bias``.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: dict = field(default_factory=dict)
    index: int = 0


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Operators in an order in which they can run; ``inputs`` and ``outputs`` index tensors.

    ``rounding`` is that of the runtime whose bytes the graph has to give: "tflm" or "float32".
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    rounding: str = "tflm"

    def operand(self, operator, position):
        """The tensor at ``position`` of the inputs, or :data:`None` where it is left out."""
        inputs = operator.inputs
        missing = position >= len(inputs) or inputs[position] < 0
        return None if missing else self.tensors[inputs[position]]

    def result(self, operator):
        """The tensor that ``operator`` computes."""
        return self.tensors[operator.outputs[0]]

    def layer(self, operator):
        """Input, weights and biases, if there are any, of a layer with weights."""
        positions = (2, 1, 3) if operator.kind == "TRANSPOSE_CONV" else (0, 1, 2)
        return tuple(self.operand(operator, position) for position in positions)

    def bias(self, operator):
        """int32 biases of a layer with weights, 0 where it has none."""
        *_, bias = self.layer(operator)
        return np.zeros(self.result(operator).shape[-1], np.int32) if bias is None else bias.data

    def rescale(self, operator):
        """:func:`rescale` for each output channel of a layer with weights, or what stands for it
        in float32."""
        (x, weights, _), y = self.layer(operator), self.result(operator)
        scales = (float32.rescale(x.scale, weights.scales, y.scale) if self.rounding == "float32"
                  else rescale(operator.kind, x, weights, y))
        return np.broadcast_to(scales, y.shape[-1:])

    def clamp(self, operator):
        """Bounds ``(low, high)`` of the results, by the fused activation."""
        if "range" in operator.attributes:
            return operator.attributes["range"]
        y = self.result(operator)
        return activation_range(operator.attributes["activation"], y.scale, y.zero_point)
