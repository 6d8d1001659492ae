"""What a file computes from constants and from shapes alone, and what nothing reads."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from systolith.frontends.tflite.cut import cut
from systolith.graph.ir import Tensor
from systolith.references.host_runtime import HostRuntimeError, run_on_host

__all__ = ["EFFECTS", "folded", "live"]

#: Operators that do more than their results say.
EFFECTS = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}

#: Types of constants that folding gives.
NUMBERS = {"int8", "uint8", "int16", "int32", "int64", "float32", "bool"}

#: Inputs and outputs of operators, by index of tensor.
Operands = Sequence[tuple[tuple[int, ...], tuple[int, ...]]]


def live(kinds: Sequence[str], operands: Operands, outputs: Sequence[int]) -> set[int]:
    """Numbers of the operators that the ``outputs`` depend on."""
    wanted, found = {*outputs}, set()
    for index in reversed(range(len(kinds))):
        inputs, results = operands[index]
        if kinds[index] in EFFECTS or wanted.intersection(results):
            wanted.update(inputs)
            found.add(index)
    return found


def folded(data: bytes, tensors: Sequence[Tensor], kinds: Sequence[str], operands: Operands,
           needed: set[int], outputs: Sequence[int]) -> tuple[list[Tensor], set[int], set[int]]:
    """``tensors`` with the constants that operators of a file ``data`` compute, the numbers of
    the operators that are ``needed`` beside those, and the indices of those constants.

    A shape is a constant, whatever has it. The runtime computes all else, once, as a model that is
    cut from the file: so each constant has the bytes that it would have there. What that cannot
    run stays as it is.
    """
    shapes = _shapes(tensors, kinds, operands, needed)
    left: set[int] = set()
    while foldable := _foldable(tensors, kinds, operands, needed - left, shapes, outputs):
        read = {each for index in needed - {*foldable} for each in operands[index][0]}
        wanted = [each for index in foldable for each in operands[index][1] if each in read]
        given = [each for each in shapes
                 if any(each in operands[index][0] for index in foldable)]
        try:
            values = run_on_host(cut(data, foldable, given, wanted), "tflite",
                                 [shapes[each] for each in given]) if wanted else []
        except HostRuntimeError:
            foldable = []
            break
        # Sizes that only the runtime knows are not those of the file.
        wrong = {each for each, value in zip(wanted, values, strict=True)
                 if value.size != math.prod(tensors[each].shape)}
        if not wrong:
            shapes |= {each: value.reshape(tensors[each].shape)
                       for each, value in zip(wanted, values, strict=True)}
            break
        left |= {index for index in foldable if wrong.intersection(operands[index][1])}
    gone = {index for index in needed if operands[index][1]
            and {*operands[index][1]} <= {*shapes} - {*outputs}}
    return [tensor if index not in shapes or index in outputs
            else replace(tensor, data=shapes[index]) for index, tensor in enumerate(tensors)], (
        needed - gone - {*foldable}), {*shapes} - {*outputs}


def _foldable(tensors: Sequence[Tensor], kinds: Sequence[str], operands: Operands,
              needed: set[int], shapes: Mapping[int, np.ndarray],
              outputs: Sequence[int]) -> list[int]:
    """Numbers of the operators that compute from constants and ``shapes`` alone."""
    known = {index for index, tensor in enumerate(tensors) if tensor.data is not None} | {*shapes}
    found = []
    for index in sorted(needed):
        inputs, results = operands[index]
        if (kinds[index] not in {*EFFECTS, "SHAPE"} and inputs
                and known.issuperset({*inputs} - {-1}) and not {*results} & {*outputs, -1}
                and all(tensors[each].dtype in NUMBERS for each in results)):
            found.append(index)
            known.update(results)
    return found


def _shapes(tensors: Sequence[Tensor], kinds: Sequence[str], operands: Operands,
            needed: set[int]) -> dict[int, np.ndarray]:
    """Results of SHAPE, by tensor."""
    found = {}
    for index in needed:
        inputs, results = operands[index]
        if (kinds[index] != "SHAPE" or (len(inputs), len(results)) != (1, 1)
                or -1 in (*inputs, *results)):
            continue
        y = tensors[results[0]]
        if y.dtype in {"int32", "int64"} and y.shape == (len(tensors[inputs[0]].shape),):
            found[results[0]] = np.array(tensors[inputs[0]].shape, y.dtype)
    return found
