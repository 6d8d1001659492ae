"""Variables of a file: what a network keeps from one run to the next."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from systolith.frontends.tflite.node import Refusal
from systolith.graph.attributes import Attributes
from systolith.graph.ir import Operator, State, Tensor

__all__ = ["Listed", "Variables", "cleared"]

#: What a variable of a file is called by: its container and its name.
Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An operator as a file lists it; ``options`` are of a class of the package tflite."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


#: Tensors and operators of a further subgraph, by its number.
Subgraph = Callable[[int], tuple[Sequence[Tensor], Sequence[Listed]]]


class Variables:
    """What VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE and CALL_ONCE come to in a graph, taken in
    the order of the file: a variable is a state, which is given as the tensor that is read from it
    first, and ends as the one that is assigned last.

    Parameters
    ----------
    tensors : sequence of :class:`~systolith.graph.ir.Tensor`
        Of the main graph.
    subgraph : callable
        Gives those that CALL_ONCE may name.

    Attributes
    ----------
    after : list of :class:`~systolith.graph.ir.Tensor`
        What variable tensors of operators become in a run: tensors that follow those of the file.
    renamed : dict
        The indices of these by those of the variable tensors.
    """

    def __init__(self, tensors: Sequence[Tensor], subgraph: Subgraph) -> None:
        self._tensors, self._subgraph = tensors, subgraph
        self._handles: dict[int, Key] = {}
        self._initial: dict[Key, Tensor] = {}
        self._given: dict[Key, int] = {}
        self._now: dict[Key, int] = {}
        self.after: list[Tensor] = []
        self.renamed: dict[int, int] = {}

    def take(self, index: int, operator: Listed) -> list[Operator] | None:
        """The operators that this one of the file becomes, mostly none; None if it has nothing to
        do with variables.

        Raises :exc:`~systolith.frontends.tflite.node.Refusal` for what no state can be.
        """
        match operator.kind, operator.inputs, operator.outputs:
            case "VAR_HANDLE", (), (handle,):
                self._handles[handle] = _key(operator)
            case "CALL_ONCE", (), ():
                self._begin(operator)
            case "READ_VARIABLE", (handle,), (result,):
                return self._read(index, self._named(handle), result)
            case "ASSIGN_VARIABLE", (handle, value), ():
                if self._tensors[value].data is not None:
                    raise Refusal("it assigns a constant in each run: let CALL_ONCE do that")
                self._now[self._named(handle)] = value
            case ("VAR_HANDLE" | "CALL_ONCE" | "READ_VARIABLE" | "ASSIGN_VARIABLE"), _, _:
                raise Refusal(f"it has {len(operator.inputs)} inputs and "
                              f"{len(operator.outputs)} outputs")
            case _:
                return None
        return []

    def own(self, variable: Iterable[int], listed: Mapping[int, Listed],
            left: Collection[int]) -> Iterator[str]:
        """Take the ``variable`` tensors of the operators ``listed`` by their numbers, each of which
        the one operator among those ``left`` to the runtime changes that reads it; what is wrong
        with the others."""
        for tensor in variable:
            readers = [index for index, each in listed.items() if tensor in each.inputs]
            if not readers:
                continue
            name = self._tensors[tensor].name
            if len(readers) > 1 or readers[0] not in left:
                yield (f"operator {readers[0]} ({listed[readers[0]].kind}): its operand {name} is "
                       "a variable tensor, which is supported only where no other operator reads "
                       "it, and a runtime runs that one")
            self.renamed[tensor] = len(self._tensors) + len(self.after)
            self.after.append(replace(self._tensors[tensor], name=f"{name} after"))

    def states(self) -> list[tuple[State, int, int]]:
        """Each state with the tensors that it is given as, and ends as.

        Raises :exc:`~systolith.frontends.tflite.node.Refusal` for a variable that has no value
        before it is read, or one of another size.
        """
        found = [(State(name=x.name or f"tensor {given}", initial=cleared(x)), given, result)
                 for given, result in self.renamed.items() for x in [self._tensors[given]]]
        for key, given in self._given.items():
            x, y, name = self._tensors[given], self._tensors[self._now[key]], " ".join(key).strip()
            begin = self._initial.get(key)
            if begin is None and self._now[key] == given:
                raise Refusal(f"nothing assigns the variable {name} that it reads")
            initial = cleared(y) if begin is None else begin.numbers
            for other in (y, *([] if begin is None else [begin])):
                if (other.dtype, np.prod(other.shape)) != (x.dtype, np.prod(x.shape)):
                    raise Refusal(f"the variable {name} is read as {x.dtype}{list(x.shape)}, but "
                                  f"{other.dtype}{list(other.shape)} is assigned to it")
            found.append((State(name=name, initial=initial), given, self._now[key]))
        return found

    def _named(self, handle: int) -> Key:
        if handle not in self._handles:
            raise Refusal("its operand 0 is not the result of a VAR_HANDLE")
        return self._handles[handle]

    def _read(self, index: int, key: Key, result: int) -> list[Operator]:
        """The first time this is what the state is given as, then a view of what it is by now."""
        if key not in self._now:
            self._given[key] = self._now[key] = result
            return []
        x, y = self._tensors[self._now[key]], self._tensors[result]
        if x.dtype != "int8" or (x.dtype, x.scales, x.zero_point) != (
                y.dtype, y.scales, y.zero_point):
            raise Refusal(f"it reads the variable again, as {y.dtype}, or in another scale than "
                          f"{x.name}, which it is by then: only int8 of one scale is possible")
        return [Operator(kind="RESHAPE", inputs=(self._now[key],), outputs=(result,), index=index,
                         attributes=Attributes())]

    def _begin(self, operator: Listed) -> None:
        """Take what a subgraph assigns, before anything is read."""
        if not isinstance(operator.options, tflite.CallOnceOptions):
            raise Refusal("its options are not CallOnceOptions")
        tensors, listed = self._subgraph(operator.options.InitSubgraphIndex())
        handles: dict[int, Key] = {}
        for each in listed:
            match each.kind, each.inputs, each.outputs:
                case "VAR_HANDLE", (), (handle,):
                    handles[handle] = _key(each)
                case "ASSIGN_VARIABLE", (handle, value), () if (
                        handle in handles and tensors[value].data is not None):
                    if handles[handle] in self._now:
                        raise Refusal("it begins variables that are read or assigned before it")
                    self._initial[handles[handle]] = replace(
                        tensors[value], data=_numbers(tensors[value]))
                case _:
                    raise Refusal("its subgraph does more than to assign constants to variables: "
                                  f"{each.kind}")


def _numbers(constant: Tensor) -> npt.NDArray[Any]:
    """Of a constant of any type; raises :exc:`ValueError` for a wrong number of bytes."""
    return np.frombuffer(constant.numbers.tobytes(), constant.dtype).reshape(constant.shape)


def _key(operator: Listed) -> Key:
    options = operator.options
    if not isinstance(options, tflite.VarHandleOptions):
        raise Refusal("its options are not VarHandleOptions")
    container, name = ((text or b"").decode("utf-8", "replace")
                       for text in (options.Container(), options.SharedName()))
    return container, name


def cleared(tensor: Tensor) -> npt.NDArray[Any]:
    """What TensorFlow Lite Micro begins with, where nothing else is said: each byte is the zero
    point."""
    dtype = np.dtype(tensor.dtype)
    count = int(np.prod(tensor.shape)) * dtype.itemsize
    numbers = np.full(count, tensor.zero_point & 0xff, np.uint8).view(dtype)
    return numbers.reshape(tensor.shape)
