"""Whole graphs with every convolution on the simulated RTL, layer by layer."""

from dataclasses import dataclass

import numpy as np

from host.golden_run import run_graph, run_operator
from host.layers import CONVOLUTIONS, conv_layer
from host.simulated import RunReport, SimulatedConv2d

__all__ = ["LayerRun", "RtlRun"]


@dataclass(frozen=True, kw_only=True)
class LayerRun:
    """What became of one operator; ``report`` is None where the host computed it."""

    operator: object
    shape: tuple[int, ...]  #: Of the result, for one picture.
    report: RunReport | None


class RtlRun:
    """Runs graphs on the compiled simulation of a :class:`Conv2d`.

    Convolutions and fully connected layers run on the core, one after the other; all else runs on
    the golden models.

    Parameters
    ----------
    core : :class:`Conv2d`
    trace : path or None
        File for waveforms.
    """

    def __init__(self, core, *, trace=None):
        self.core = core
        self.simulated = SimulatedConv2d(core, trace=trace)

    def run(self, graph, *inputs, progress=None):
        """Every activation by its index of tensor, and a :class:`LayerRun` for each operator.

        ``progress`` is called with each operator before it runs.

        Raises :exc:`ValueError` if a layer is beyond the limits of the core.
        """
        layers = []

        def run_one(graph, operator, values):
            if progress:
                progress(operator)
            report = None
            if operator.kind in CONVOLUTIONS:
                result, report = self._convolve(graph, operator, values[operator.inputs[0]])
            else:
                result = run_operator(graph, operator, values)
            layers.append(LayerRun(operator=operator, report=report, shape=result.shape[1:]))
            return result

        return run_graph(graph, *inputs, run=run_one), layers

    def _convolve(self, graph, operator, x):
        most = self.core.im2col_params.max_pictures
        parts, reports = [], []
        for part in np.split(x, range(most, len(x), most)):
            layer = conv_layer(graph, operator, len(part))
            shape = layer.shape
            try:
                result, report = self.simulated.run(layer, part.reshape(
                    shape.pictures, shape.height, shape.width, shape.channels))
            except ValueError as error:
                raise ValueError(f"operator {operator.index} ({operator.kind}): {error}") from error
            parts.append(result.reshape(len(part), *graph.result(operator).shape[1:]))
            reports.append(report)
        return np.concatenate(parts), sum(reports[1:], reports[0])
