"""Inputs and outputs of a file that are not int8, as those of a graph are."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from systolith.frontends.tflite.node import activation
from systolith.graph.ir import Graph, Tensor

__all__ = ["IoTensors", "absorb_transposes"]

#: Orders of axes that make the channels of an image the last ones, and the first ones.
TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)


def absorb_transposes(graph: Graph) -> Graph:
    """``graph`` without a TRANSPOSE that alone reads an input, or gives an output, of images whose
    channels come before lines and pixels: that is the layout of these then."""
    tensors, operators = list(graph.tensors), list(graph.operators)
    inputs, outputs = list(graph.inputs), list(graph.outputs)
    for op in graph.operators:
        if op.kind != "TRANSPOSE" or len(operators) == 1:
            continue
        x, y = op.inputs[0], op.outputs[0]
        readers = {index: sum(index in each.inputs for each in operators) for index in (x, y)}
        order = op.attributes.order
        if order == TO_LAST and x in inputs and readers[x] == 1 and not {x, y} & {*outputs}:
            inputs[inputs.index(x)] = y
            tensors[y] = replace(tensors[y], name=tensors[x].name, layout="NCHW")
        elif (order == TO_FIRST and outputs.count(y) == 1 and not readers[y]
              and x not in {*inputs, *outputs} and tensors[x].layout == "NHWC"):
            outputs[outputs.index(y)] = x
            tensors[x] = replace(tensors[x], name=tensors[y].name, layout="NCHW")
        else:
            continue
        operators.remove(op)
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators),
                   inputs=tuple(inputs), outputs=tuple(outputs))


class IoTensors:
    """Inputs and outputs of a graph, and tensors, from those of a file.

    uint8 is 128 more than int8: so are numbers and zero point of a tensor that is ``unsigned``.
    Real inputs that a QUANTIZE alone reads, and real outputs of a DEQUANTIZE, leave the graph with
    these operators: it begins and ends with the int8 numbers that they stand for.

    Parameters
    ----------
    tensors, inputs, outputs
        Of the file.
    read : list of :class:`int`
        What operators read, each tensor as often as it is.
    """

    def __init__(self, tensors: Sequence[Tensor], inputs: Iterable[int], outputs: Iterable[int],
                 read: list[int]) -> None:
        self.tensors, self.inputs, self.outputs = list(tensors), list(inputs), list(outputs)
        self._read = read
        for index in {*inputs, *outputs} & set(range(len(tensors))):
            tensor = tensors[index]
            if tensor.dtype == "uint8" and tensor.data is None:
                self.tensors[index] = replace(tensor, dtype="int8", unsigned=True,
                                              zero_point=tensor.zero_point - 128)

    def take(self, kind: str, inputs: Sequence[int], outputs: Sequence[int]) -> bool:
        """Whether an operator leaves the graph, which then has other inputs or outputs.

        Raises :exc:`~systolith.frontends.tflite.node.Refusal` if these cannot be.
        """
        if len(inputs) != 1 or len(outputs) != 1 or {-1} & {*inputs, *outputs}:
            return False
        (x,), (y,) = inputs, outputs
        ends = self.tensors[x].dtype, self.tensors[y].dtype
        match kind:
            case "QUANTIZE" if ends == ("float32", "int8"):
                if self.inputs.count(x) != 1 or self._read.count(x) != 1 or x in self.outputs:
                    return False
                activation(self.tensors[y], "the output")
                self.tensors[y] = replace(self.tensors[y], name=self.tensors[x].name)
                self.inputs[self.inputs.index(x)] = y
            case "DEQUANTIZE" if ends == ("int8", "float32"):
                if y not in self.outputs or y in self._read or y in self.inputs:
                    return False
                activation(self.tensors[x], "input 0")
                self.outputs = [x if index == y else index for index in self.outputs]
            case _:
                return False
        return True
