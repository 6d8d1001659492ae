"""Operators of a file that no record knows, or in a form that none takes: the runtime itself runs
them on the host, as a model that was cut from the file."""

from collections.abc import Sequence

import numpy as np

from systolith.graph.attributes import Foreign
from systolith.graph.file_layout import from_graph
from systolith.graph.ir import Graph, Operator, Tensor
from systolith.graph.record import OperatorRecord, Role, Values, register
from systolith.references.host_runtime import run_on_host

__all__: list[str] = []

#: Operands and results at the most.
MOST = 4096


def _run(graph: Graph, operator: Operator, operands: Sequence[Values]) -> list[Values]:
    """One image after the other: the model takes one."""
    attributes: Foreign = operator.attributes
    tensors = [graph.tensors[index] for index in operator.inputs]
    images = [_images(tensor, x) for tensor, x in zip(tensors, operands, strict=True)]
    counts = {len(each) for each in images} or {1}
    if len(counts) > 1:
        raise ValueError(f"{operator} has operands of {sorted(counts)} images")
    runs = [run_on_host(attributes.model, attributes.form,
                        [_to_file(tensor, each[number]) for tensor, each in zip(
                            tensors, images, strict=True)]) for number in range(counts.pop())]
    return [_joined(graph.tensors[index], [run[position] for run in runs])
            for position, index in enumerate(operator.outputs)]


def _images(tensor: Tensor, x: Values) -> Values:
    """Each image of an operand, whose first axis has all of them one after the other."""
    return x.reshape(-1, *tensor.shape)


def _to_file(tensor: Tensor, x: Values) -> Values:
    return from_graph(tensor, x) if tensor.shape else x


def _joined(tensor: Tensor, results: Sequence[Values]) -> Values:
    y = np.stack([result.reshape(tensor.shape) for result in results])
    if tensor.unsigned:
        y = (y.astype(np.int16) - 128).astype(np.int8)
    return y.reshape(-1, *tensor.shape[1:])


def _shape(graph: Graph, operator: Operator) -> tuple[int, ...]:
    return graph.result(operator).shape


register(OperatorRecord(
    kind="RUNTIME", operands=(Role.VALUE,), variadic=(0, MOST), attributes=Foreign, shape=_shape,
    run=_run, host_reason=lambda graph, operator: operator.attributes.reason))
