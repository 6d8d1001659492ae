"""A quantised network as importers give it, and the numbers that follow from its scales."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sim.golden import float32
from sim.golden.operators import activation_range
from sim.golden.types import Int32
from systolith.graph.attributes import Attributes, Clamp
from systolith.graph.record import OperatorRecord, Role, record_of

__all__ = ["Graph", "ModelError", "Operator", "State", "Tensor", "make_operator", "rescale"]


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
    data: npt.NDArray[Any] | None = field(default=None, repr=False)  #: Of constants only.
    layout: str = "NHWC"  #: Order of an image's axes in the file; here it is always NHWC.
    unsigned: bool = False  #: The file has uint8: its numbers and zero point are 128 more.

    @property
    def scale(self) -> float:
        """The only scale of an activation."""
        return self.scales[0]

    @property
    def numbers(self) -> npt.NDArray[Any]:
        """The data of a constant."""
        assert self.data is not None, f"{self.name} is no constant"
        return self.data

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of an image, or of a kernel; with less than four axes an image has one
        line, or one pixel."""
        height, width = (1, 1, *self.shape[1:-1])[-2:]
        return height, width


def rescale(kind: str, x: Tensor, weights: Tensor, y: Tensor) -> npt.NDArray[np.float64]:
    """``s_in * s_w / s_out`` in float64, for each scale of the ``weights`` of an operator of
    ``kind``. The one scale of a fully connected layer is multiplied in float32."""
    products = np.float64(x.scale) * np.array(weights.scales)
    if kind == "FULLY_CONNECTED" and len(weights.scales) == 1:
        with np.errstate(over="ignore"):  # infinite then
            products = products.astype(np.float32).astype(np.float64)
    return products / y.scale


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator: ``kind`` is the name of its record, tensors are given by index, -1 where left
    out; ``index`` numbers the operators of a file."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attributes: Any = field(default_factory=Attributes)  #: Of the type that the record names.
    index: int = 0

    @property
    def record(self) -> OperatorRecord:
        """What is known of its kind; raises :exc:`~systolith.graph.record.UnknownOperator`."""
        return record_of(self.kind)

    @property
    def activations(self) -> tuple[int, ...]:
        """Tensors that it computes with, other than weights, biases, sizes and the like."""
        return tuple(tensor for position, tensor in enumerate(self.inputs)
                     if self.record.role(position) in {Role.ACTIVATION, Role.VALUE})

    def __str__(self) -> str:
        """As messages name it."""
        return f"operator {self.index} ({self.kind})"


def make_operator(kind: str, inputs: Iterable[int], outputs: Iterable[int],
                  attributes: Mapping[str, Any] | None = None, index: int = 0) -> Operator:
    """An :class:`Operator` with ``attributes`` by their names.

    Raises :exc:`~systolith.graph.record.UnknownOperator` for a kind without a record, and
    :exc:`TypeError` for attributes that it does not have.
    """
    return Operator(kind=kind, inputs=tuple(inputs), outputs=tuple(outputs), index=index,
                    attributes=record_of(kind).attributes(**(attributes or {})))


@dataclass(frozen=True, kw_only=True)
class State:
    """What a network keeps from one run to the next, by the ``name`` of its variable; ``initial``
    are the numbers that it begins with, as the file has them."""

    name: str
    initial: npt.NDArray[Any] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Operators in an order in which they can run; ``inputs`` and ``outputs`` index tensors.

    The last ones of both, as many as there are ``states``, are these: a run is given their numbers,
    and gives those for the next run.

    ``rounding`` is that of the runtime whose bytes the graph has to give: "tflm" or "float32".
    ``str`` of a graph is its text form, see :mod:`systolith.graph.text`.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    rounding: str = "tflm"
    states: tuple[State, ...] = ()

    @property
    def own_inputs(self) -> tuple[int, ...]:
        """Inputs of the network itself, without its states."""
        return self.inputs[:len(self.inputs) - len(self.states)]

    @property
    def own_outputs(self) -> tuple[int, ...]:
        """Outputs of the network itself, without its states."""
        return self.outputs[:len(self.outputs) - len(self.states)]

    @property
    def kept(self) -> tuple[tuple[State, int, int], ...]:
        """Each state with the tensors that a run is given of it, and gives."""
        return tuple(zip(self.states, self.inputs[len(self.own_inputs):],
                         self.outputs[len(self.own_outputs):], strict=True))

    def __str__(self) -> str:
        from systolith.graph.text import text_of  # which knows graphs

        return text_of(self)

    def operand(self, operator: Operator, position: int) -> Tensor | None:
        """The tensor at ``position`` of the inputs, or :data:`None` where it is left out."""
        inputs = operator.inputs
        missing = position >= len(inputs) or inputs[position] < 0
        return None if missing else self.tensors[inputs[position]]

    def activation(self, operator: Operator, number: int = 0) -> Tensor:
        """An activation among the operands, the first one by default."""
        return self.tensors[operator.activations[number]]

    def result(self, operator: Operator) -> Tensor:
        """The tensor that ``operator`` computes."""
        return self.tensors[operator.outputs[0]]

    def constant(self, operator: Operator, role: Role) -> Tensor | None:
        """The operand of a ``role``, or :data:`None` where it is left out."""
        position = operator.record.position(role)
        return None if position is None else self.operand(operator, position)

    def weights(self, operator: Operator) -> Tensor:
        """Those of a layer with weights."""
        weights = self.constant(operator, Role.WEIGHTS)
        assert weights is not None, f"{operator} has no weights"
        return weights

    def bias(self, operator: Operator) -> Int32:
        """int32 biases of a layer with weights, 0 where it has none."""
        bias = self.constant(operator, Role.BIAS)
        if bias is None or bias.data is None:
            return np.zeros(self.result(operator).shape[-1], np.int32)
        return bias.data

    def rescale(self, operator: Operator) -> npt.NDArray[np.floating]:
        """:func:`rescale` for each output channel of a layer with weights, or what stands for it
        in float32."""
        x, weights, y = self.activation(operator), self.weights(operator), self.result(operator)
        scales = (float32.rescale(x.scale, weights.scales, y.scale) if self.rounding == "float32"
                  else rescale(operator.kind, x, weights, y))
        return np.broadcast_to(scales, y.shape[-1:])

    def clamp(self, operator: Operator) -> tuple[int, int]:
        """Bounds ``(low, high)`` of the results, by the fused activation."""
        attributes: Clamp = operator.attributes
        if attributes.range is not None:
            return attributes.range
        y = self.result(operator)
        return activation_range(attributes.activation, y.scale, y.zero_point)
