"""A convolution with its constants."""

import functools
from dataclasses import dataclass, replace
from typing import Self, TypedDict

import numpy as np

from rtl.accelerator.params import TOTAL_BITS
from rtl.im2col import ConvShape
from systolith.compiler.cost.machine import Machine

__all__ = ["ConvLayer", "Limits"]


class Limits(TypedDict):
    """Zero point and bounds of results."""

    zero_point: int
    low: int
    high: int


@dataclass(frozen=True, kw_only=True)
class ConvLayer:
    """A convolution with its constants.

    ``weights`` are (cout, kh, kw, cin / groups) int8. In a depthwise layer (as many groups as
    channels) output channel ``c * multiplier + j`` reads input channel ``c``. ``bias`` are int32;
    ``multiplier`` and ``shift`` are those of :func:`sim.golden.requantize.channel_params`.
    """

    shape: ConvShape
    weights: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray
    input_zero_point: int
    zero_point: int
    low: int = -128
    high: int = 127

    def __post_init__(self) -> None:
        shape, filters = self.shape, len(self.weights)
        expected = (filters, *shape.kernel, shape.channels // shape.groups)
        if self.weights.shape != expected or self.weights.dtype != np.int8:
            raise ValueError(f"weights must be int8 of shape {expected}, not "
                             f"{self.weights.dtype} of shape {self.weights.shape}")
        if filters % shape.groups:
            raise ValueError(f"the {shape.groups} groups must divide the {filters} filters")
        for name in ("bias", "multiplier", "shift"):
            if np.shape(getattr(self, name)) != (filters,):
                raise ValueError(f"{name} must have an entry for each of the {filters} filters, "
                                 f"not the shape {np.shape(getattr(self, name))}")

    @property
    def filters(self) -> int:
        """Output channels of each group."""
        return len(self.weights) // self.shape.groups

    @property
    def macs(self) -> int:
        shape = self.shape
        return shape.images * shape.out_height * shape.out_width * self.weights.size

    @property
    def depthwise(self) -> bool:
        return self.shape.groups == self.shape.channels > 1

    @functools.cached_property
    def _sums(self) -> list[np.ndarray]:
        """The least and the largest sums of each filter's products with any int8."""
        weights = self.weights.reshape(len(self.weights), -1).astype(np.int64)
        return [order(-128 * weights, 127 * weights).sum(axis=1)
                for order in (np.minimum, np.maximum)]

    @property
    def _totals(self) -> list[np.ndarray]:
        return [sums + self.folded_bias() for sums in self._sums]

    @property
    def sum_bits(self) -> int:
        """Bits that hold the sum of a filter's products with any int8; with its bias, if these are
        more than those of any sum that is requantised."""
        sums, totals = (1 + max(int(-low.min() - 1).bit_length(), int(high.max()).bit_length())
                        for low, high in (self._sums, self._totals))
        return sums if totals <= TOTAL_BITS else max(sums, min(totals, 32))

    def short_acc(self, machine: Machine) -> int:
        """1 if ``machine`` requantises all sums in a cycle less than others, else 0."""
        if machine.short_acc_range is None:
            return 0
        (low, high), (least, most) = self._totals, machine.short_acc_range
        return int(low.min() >= least and high.max() <= most)

    def transposed(self) -> Self:
        """The same layer over images with height and width exchanged."""
        shape = self.shape
        return replace(self, weights=self.weights.transpose(0, 2, 1, 3), shape=replace(
            shape, height=shape.width, width=shape.height, kernel=shape.kernel[::-1],
            stride=shape.stride[::-1], dilation=shape.dilation[::-1],
            padding=shape.padding[::-1]))

    def folded_bias(self) -> np.ndarray:
        """``bias - z * sum(w)``, in 32 bits: what the zero point of the input amounts to."""
        sums = self.weights.reshape(len(self.weights), -1).sum(axis=1, dtype=np.int64)
        return (self.bias - self.input_zero_point * sums).astype(np.int32)
