from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.builds import build_of
from systolith.cli.files import check_target
from systolith.cli.options import (
    Baud,
    BoardName,
    Cols,
    DrainLanes,
    On,
    PixelLanes,
    Requantize,
    Rows,
    Vcd,
    one_of_these,
)

if TYPE_CHECKING:
    import numpy as np

    from systolith.graph.ir import Graph
    from systolith.references.comparison import Comparison
    from systolith.runtime.driver import AcceleratorDriver
    from systolith.runtime.session import Session
    from systolith.runtime.target import Run, Values

__all__ = ["run"]

#: Images that run where --count says nothing.
MOST = 100

#: Images of noise of a network that keeps states.
STEPS = 10


def run(
    model: Annotated[Path | None, typer.Argument(
        metavar="MODEL", help="A quantised .tflite or .onnx network; by default, one that reads "
        "handwritten digits.")] = None,
    input_files: Annotated[list[Path] | None, typer.Option(
        "--input", metavar="FILE", help="A .npy or .npz file of inputs (n, ...), or an image; for "
        "a network of several inputs, a file for each. By default, digits, or noise for your own "
        "network.")] = None,
    output_file: Annotated[Path | None, typer.Option(
        "--output", metavar="Y.npy", help="Write the outputs (n, ...) to this file; .npz if there "
        "are several.")] = None,
    count: Annotated[int | None, typer.Option(
        min=1, max=10_000, help="The most images to run; by default 100, or one of noise, or ten "
        "if the network keeps states.",
        show_default=False)] = None,
    board: BoardName = None,
    rows: Rows = None,
    cols: Cols = None,
    drain_lanes: DrainLanes = None,
    pixel_lanes: PixelLanes = None,
    requantize: Requantize = None,
    compare: Annotated[str | None, typer.Option(
        autocompletion=one_of_these("tflm", "litert", "onnxruntime"),
        help="Runtime to compare with: tflm, litert or onnxruntime; by default, the one whose "
        "rounding the network asks for.")] = None,
    layers: Annotated[bool, typer.Option(
        "--layers", help="Show each layer's cycles, and its bytes that differ from the golden "
        "model. For the bytes, each image runs again, with as many tensors as outputs as "
        "fit.")] = False,
    on: On = None,
    baud: Baud = None,
    vcd: Vcd = None,
) -> None:
    """Run a quantised network on the simulated RTL or, with --on, on a board, and compare every
    byte with its reference runtime.

    The whole network runs on the accelerator; only softmax, local response normalisation and very
    large windows run on the host. The first run compiles the accelerator for simulation. Without
    --board, its memories are as large as the network needs. If the outputs are scores of classes,
    the best are shown, by the labels in the file's metadata if it has any. The status is 1 if any
    byte differs that should not.
    """
    from systolith.cli.results import save_outputs, show_run
    from systolith.cli.targets import connected, simulated
    from systolith.frontends.model_file import read_model
    from systolith.references.comparison import Comparison
    from systolith.runtime.session import Session
    from systolith.zoo.digits import held_out, model_bytes

    for target in filter(None, (output_file, vcd)):
        check_target(target, inputs=(model, *(input_files or ())))
    shape = {"rows": rows, "cols": cols, "drain_lanes": drain_lanes, "requantize": requantize,
             "pixel_lanes": pixel_lanes}
    if on is not None and any(each is not None for each in (board, vcd, *shape.values())):
        raise ValueError("--on takes the build of the board that is there: no --board, no option "
                         "of a build and no --vcd goes with it")
    if on is None and baud is not None:
        raise ValueError("--baud is that of a board, which --on names: leave it out, or give --on")
    build = build_of(board, **shape)
    source = model_bytes() if model is None else model
    graph = read_model(source, partition=True)
    digits = held_out() if model is None and not input_files else None
    layers = layers or digits is not None and on is None
    comparison = Comparison(source, graph, compare, layers)
    layers = comparison.layers
    inputs = [digits.images] if digits else _inputs(
        graph, input_files, count or (STEPS if graph.states else 1))
    inputs = [x[:count or MOST] for x in inputs]
    target = (simulated(build, graph, layers, vcd) if on is None
              else connected(on, baud, graph))
    session = Session(graph, target)
    runs = _runs(session, inputs)
    outputs = session.gather(runs)
    if output_file:  # whatever comes of the comparison
        save_outputs(output_file, session, outputs)
    _compare(session, target, runs, comparison, layers)
    target.close()
    show_run(source, session, runs, outputs, comparison, digits=digits, noise=not input_files)
    if comparison.failed:
        raise typer.Exit(1)


def _inputs(graph: "Graph", files: Sequence[Path] | None, count: int) -> list["np.ndarray"]:
    """An array (n, ...) for each input, of files, or ``count`` images of noise."""
    from systolith.runtime.input_files import load_inputs, noise
    from systolith.runtime.session import TensorInfo

    inputs = TensorInfo.inputs_of(graph)
    return load_inputs(inputs, files) if files else noise(inputs, count)


def _runs(session: "Session", inputs: Sequence["np.ndarray"]) -> list["Run"]:
    """The run of each image."""
    from systolith.cli.progress import progress

    count, runs = len(inputs[0]), []
    with progress(total=count) as step:
        step(f"image 1 of {count}")
        for number, done in enumerate(session.results(*inputs), 1):
            runs.append(done)
            if number < count:
                step(f"image {number + 1} of {count}")
    return runs


def _compare(session: "Session", target: "AcceleratorDriver", runs: Sequence["Run"],
             comparison: "Comparison", layers: bool) -> None:
    """Let the comparison take each run, with all tensors if it is of ``layers``."""
    from systolith.cli.progress import progress

    count = len(runs)
    with progress(total=count) as step:
        for number, done in enumerate(
                _complete(session.graph, target, runs) if layers else runs, 1):
            step(f"image {number} of {count}{', all its tensors' if layers else ', compared'}")
            comparison.take(done)


def _complete(graph: "Graph", target: "AcceleratorDriver",
              runs: Iterable["Run"]) -> Iterator["Run"]:
    """``runs`` with the tensors that they do not give, of others that do."""
    from systolith.compiler.choice import program_of
    from systolith.compiler.fitting import all_results, parts

    programs = [program_of(part, target.params)
                for part in parts(all_results(graph), target.params)]
    for run in runs:
        values: Values = {}
        for program in programs:
            if target.program is not program:
                target.load(program)
            values |= target.run(*(run.values[index] for index in graph.inputs)).values
        yield replace(run, values=values | run.values)
