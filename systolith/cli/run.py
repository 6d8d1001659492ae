from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from systolith.cli.builds import BoardName, Lanes, PixelLanes, Requantize, build_of
from systolith.cli.files import check_target, writing
from systolith.cli.options import Baud, On

__all__ = ["run"]


def run(
    model: Annotated[Path | None, typer.Argument(
        metavar="[MODEL]", help="A quantised .tflite or .onnx network; by default one that reads "
        "handwritten digits.")] = None,
    input_files: Annotated[list[Path] | None, typer.Option(
        "--input", metavar="FILE", help="A .npy or .npz of inputs (n, ...), or an image; for a "
        "network of several inputs, a file for each. By default digits, or noise for your own "
        "network.")] = None,
    output_file: Annotated[Path | None, typer.Option(
        "--output", metavar="Y.npy", help="Write the outputs (n, ...) to this file; .npz if there "
        "are several.")] = None,
    images: Annotated[int, typer.Option(
        min=1, max=10_000, help="The most inputs to run.")] = 100,
    board: BoardName = None,
    rows: Annotated[int | None, typer.Option(help="Rows of the array; by default 8.")] = None,
    cols: Annotated[int | None, typer.Option(help="Columns of the array; by default 8.")] = None,
    drain_lanes: Lanes = None,
    pixel_lanes: PixelLanes = None,
    requantize: Requantize = None,
    compare: Annotated[str | None, typer.Option(
        help="Runtime to compare with: tflm, litert or onnxruntime; by default the one whose "
        "rounding the network asks for.")] = None,
    layers: Annotated[bool, typer.Option(
        "--layers", help="Show each layer's cycles, and its bytes that differ from the golden "
        "model. For the bytes each input runs again, with as many tensors as outputs as "
        "fit.")] = False,
    on: On = None,
    baud: Baud = None,
    vcd: Annotated[Path | None, typer.Option(help="Write waveforms to this file.")] = None,
):
    """Run a quantised network on the simulated RTL or, with --on, on a board, and compare every
    byte with its reference runtime.

    The whole network runs on the accelerator; only softmax, local response normalisation and very
    large windows run on the host. The first run compiles the accelerator for simulation. Without
    --board, its memories are as large as the network needs. The status is 1 if any byte differs
    that should not.
    """
    from systolith.cli.layer_table import draw_digits, layer_table
    from systolith.cli.show import console, progress
    from systolith.frontends.model_file import read_model
    from systolith.references.comparison import Comparison
    from systolith.runtime.input_files import load_inputs, noise
    from systolith.runtime.session import Session
    from systolith.zoo.digits import held_out, model_bytes

    for target in filter(None, (output_file, vcd)):
        check_target(target)
    source = model_bytes() if model is None else model
    graph = read_model(source)
    digits = held_out() if model is None and not input_files else None
    layers = layers or digits is not None and on is None
    comparison = Comparison(source, graph, compare, layers)
    shape = rows, cols, drain_lanes, requantize
    if on is not None:
        if any(each is not None for each in (board, *shape, pixel_lanes, vcd)):
            raise ValueError("--on takes the build of the board that is there: no --board, no "
                             "option of a build and no --vcd goes with it")
        target = _device(on, baud, graph)
    else:
        target = _simulated(build_of(board, *shape, pixel_lanes=pixel_lanes), graph, layers, vcd)
    session = Session(graph, target)
    if digits:
        inputs = [digits.images]
    else:
        inputs = load_inputs(session.inputs, input_files) if input_files else noise(
            session.inputs, 1)
    inputs = [x[:images] for x in inputs]
    count, runs = len(inputs[0]), []
    with progress(total=count * (1 + layers)) as step:
        for number, done in enumerate(session.results(*inputs)):
            step(f"input {number + 1} of {count}")
            runs.append(done)
        for number, done in enumerate(_complete(graph, target, runs) if layers else runs):
            if layers:
                step(f"input {number + 1} of {count}, all its tensors")
            comparison.take(done)
    target.close()
    outputs = session.gather(runs)
    if output_file:
        _save(output_file, session, outputs)
    if digits:
        draw_digits(console, digits, outputs[0])
    if layers:
        console.print(layer_table(session, runs[0], comparison.golden))
    else:
        _summary(console, session, runs)
    if digits:
        right = int((outputs[0].argmax(axis=1) == digits.labels[:count]).sum())
        console.print(f"{right} of {count} held-out digits are read right ({right / count:.1%})")
    for text, good in comparison.verdicts():
        console.print(text, style="bold green" if good else "bold red", highlight=False)
    if comparison.failed:
        raise typer.Exit(1)


def _complete(graph, target, runs):
    """``runs`` with the tensors that they do not give, of others that do."""
    from systolith.compiler import compile_graph
    from systolith.compiler.fitting import all_results, parts

    programs = [compile_graph(part, target.params)
                for part in parts(all_results(graph), target.params)]
    for run in runs:
        values = {}
        for program in programs:
            if target.program is not program:
                target.load(program)
            values |= target.run(*(run.values[index] for index in graph.inputs)).values
        yield replace(run, values=values | run.values)


def _device(port, baud, graph):
    from systolith.cli.show import console
    from systolith.runtime.discovery import open_device

    device = open_device(port, baud)
    if device.channel.pipe.latency:
        console.print(device.channel.pipe.latency, style="yellow", highlight=False)
    _refuse(graph, device.params, f"the board at {port}")
    return device


def _simulated(build, graph, layers, vcd):
    from systolith.cli.show import progress
    from systolith.compiler.fitting import all_results, fit
    from systolith.runtime.simulated_accelerator import SimulatedAccelerator

    board, params = build
    if board is None:
        params = fit(graph, params)
        if layers:
            with suppress(ValueError):  # too many for any build: they come in parts
                params = fit(all_results(graph), params)
    else:
        _refuse(graph, params, board.title)
    with progress() as step:
        step("compiling the accelerator for simulation (once)")
        return SimulatedAccelerator(params, trace=vcd, **(
            {"chip": board.sdram, "mhz": board.mhz} if board else {}))


def _refuse(graph, params, title):
    from systolith.compiler.fitting import shortages

    if short := shortages(graph, params):
        raise ValueError(f"the network does not fit {title}; "
                         + "; ".join(each.text for each in short))


def _summary(console, session, runs):
    params, program = session.target.params, session.program
    products, cycles = params.products, runs[0].cycles
    if len(runs) > 1:
        console.print(f"inputs and outputs are moved between runs: {session.alone}"
                      if session.alone else "inputs and outputs are moved during runs",
                      highlight=False)
    text = (f"{cycles:,} cycles on {params.shape} products for each of {len(runs)} "
            f"input{'s' * (len(runs) > 1)}")
    if program.macs:
        text += (f": {program.macs:,} MACs take at least {-(-program.macs // products):,} cycles; "
                 f"{program.macs / products / cycles:.1%} of the products are at work")
    console.print(text, highlight=False)


def _save(path, session, outputs):
    import numpy as np

    with writing(path), path.open("wb") as file:  # so that no suffix is added to the name
        if len(outputs) == 1:
            np.save(file, outputs[0])
        else:
            np.savez(file, **{end.name: y for end, y in zip(session.outputs, outputs, strict=True)})
