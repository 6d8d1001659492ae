import json as json_format
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.builds import build_of
from systolith.cli.options import Baud, BoardName, Json, On
from systolith.cli.pixels import Layout, Mean, Scale, Size, pixels_of, size_of

if TYPE_CHECKING:
    from systolith.graph.ir import Graph
    from systolith.quantisation.agreement import Evaluation
    from systolith.quantisation.parallel import Simulation
    from systolith.runtime.target import Target

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[Path, typer.Argument(
        metavar="MODEL", help="A quantised .tflite or .onnx network.")],
    data: Annotated[Path, typer.Option(
        metavar="DATA", help="Inputs, as of systolith quantize --calibrate; and labels: integers "
        "(n,) in the .npz, or the folders that images lie in, in the order of their names.")],
    float_model: Annotated[Path | None, typer.Option(
        "--float", metavar="FLOAT.onnx", help="The float network, .onnx or .tflite, to compare "
        "with.")] = None,
    labels: Annotated[str | None, typer.Option(
        metavar="NAME", help="Array of the labels; by default, labels, label, y, targets or "
        "classes.")] = None,
    count: Annotated[int, typer.Option(
        min=1, max=1_000_000, help="The most inputs to run, evenly spread.")] = 1000,
    rtl: Annotated[bool, typer.Option(
        "--rtl", help="Run the simulated RTL, which takes long, rather than the golden models, "
        "whose bytes are the same.")] = False,
    board: BoardName = None,
    on: On = None,
    baud: Baud = None,
    jobs: Annotated[int | None, typer.Option(
        min=1, max=1024, help="Processes at once; by default, one for each core.",
        show_default=False)] = None,
    worst: Annotated[int, typer.Option(
        min=0, max=1000, help="Inputs to show that are furthest off.")] = 5,
    layout: Layout = None,
    size: Size = None,
    mean: Mean = "0",
    scale: Scale = "255",
    json: Json = False,
) -> None:
    """Say how well an int8 network does: its accuracy, if there are labels, how far it agrees with
    the float network that it was made of, output by output, and the inputs that are furthest off.

    It runs on the golden models, with --rtl or --board on the simulated RTL, or with --on on a
    board. All give the same numbers.
    """
    from systolith.cli.progress import progress
    from systolith.frontends.model_file import read_model
    from systolith.quantisation.agreement import evaluated
    from systolith.quantisation.calibration import read_examples
    from systolith.quantisation.float_network import FloatNetwork
    from systolith.quantisation.labels import read_classes
    from systolith.quantisation.parallel import PORTION, results
    from systolith.runtime.device import Device
    from systolith.runtime.session import TensorInfo

    if on is not None and (rtl or board is not None):
        raise ValueError("--on runs the board that is there: neither --rtl nor --board goes with "
                         "it")
    pixels, graph = pixels_of(layout, mean, scale), read_model(model)
    if graph.states:
        raise ValueError(f"{model}: the network keeps states, so that what an input gives depends "
                         "on those before it: a Session runs one sequence after the other")
    inputs = TensorInfo.inputs_of(graph)
    examples = read_examples(data, {each.name: each.shape for each in inputs}, pixels, count)
    classes = read_classes(data, examples, labels)
    reference = FloatNetwork(float_model, size_of(size)) if float_model else None
    if reference:
        real_examples = read_examples(data, reference.shapes, pixels, count)
    target = _target(graph, rtl, board, on, baud)
    names = [each.name for each in TensorInfo.outputs_of(graph)]
    steps = -(-len(examples) // PORTION) + (len(examples) if reference else 0)
    with progress(total=steps) as step:
        try:
            outputs = results(model, target, examples, jobs or os.cpu_count() or 1, step)
        finally:
            if isinstance(target, Device):
                target.close()
        real = reference.results(real_examples, step) if reference else None
    found = evaluated(names, examples.indices, outputs, real, classes, worst)
    if json:
        print(json_format.dumps({"model": str(model), **found.as_dict()}, indent=2))
    else:
        _show(model, found)


def _target(graph: "Graph", rtl: bool, board: str | None, on: str | None,
            baud: int | None) -> "str | Simulation | Target":
    from systolith.cli.builds import sdram_of
    from systolith.quantisation.parallel import Simulation

    if on is not None:
        from systolith.cli.targets import connected

        return connected(on, baud, graph)
    if not rtl and board is None:
        return "golden"
    from systolith.cli.targets import simulated

    build = build_of(board)
    made = simulated(build, graph, False, None)  # it is compiled once, for all processes
    made.close()
    return Simulation(params=made.params, sdram=sdram_of(build[0]))


def _show(model: Path, found: "Evaluation") -> None:
    from rtl.wording import counted
    from systolith.cli.show import Table, console

    console.print(f"{model}: {counted(found.count, 'input')}")
    if found.accuracy is not None:
        of_float = ("" if found.float_accuracy is None
                    else f"; of the float network {found.float_accuracy:.2%}")
        console.print(f"accuracy {found.accuracy:.2%}{of_float}", style="bold")
    if found.agreement:
        view = Table("Agreement with the float network", "output", "same class", "mean error",
                     "largest error", "SQNR", json=True)
        for each in found.agreement:
            view.add_row(each.name, "" if each.same_class is None else f"{each.same_class:.2%}",
                         f"{each.mean_error:.3g}", f"{each.largest_error:.3g}",
                         "" if each.sqnr is None else f"{each.sqnr:.1f} dB")
        view.print()
    if found.worst:
        view = Table("Inputs that are furthest off", "input", "label", "class", "float", "error",
                     json=True)
        for one in found.worst:
            classes = one.label, one.int8_class, one.float_class
            view.add_row(str(one.index), *("" if each is None else str(each) for each in classes),
                         f"{one.error:.3g}")
        view.print()
