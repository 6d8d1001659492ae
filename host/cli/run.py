from pathlib import Path
from typing import Annotated

import typer

from host.cli.arrays import check_target
from host.cli.builds import BoardName, Lanes, PixelLanes, Requantize, build_of

__all__ = ["run"]


def run(
    model: Annotated[Path | None, typer.Argument(
        metavar="[MODEL]", help="A quantised .tflite or .onnx network; left out, one that reads "
        "handwritten digits.")] = None,
    input_files: Annotated[list[Path] | None, typer.Option(
        "--input", metavar="FILE", help="A .npy or .npz of inputs (n, ...), or a picture; a file "
        "for each input of a network that has several. Left out, digits, or noise for a network "
        "of yours.")] = None,
    output_file: Annotated[Path | None, typer.Option(
        "--output", metavar="Y.npy", help="Where the outputs (n, ...) go; .npz if there are "
        "several.")] = None,
    pictures: Annotated[int, typer.Option(
        min=1, max=10_000, help="How many inputs to run at the most.")] = 100,
    board: BoardName = None,
    rows: Annotated[int | None, typer.Option(help="Rows of the array; 8 if left out.")] = None,
    cols: Annotated[int | None, typer.Option(help="Columns of the array; 8 if left out.")] = None,
    lanes: Lanes = None,
    pixel_lanes: PixelLanes = None,
    requantize: Requantize = None,
    compare: Annotated[str | None, typer.Option(
        help="Runtime to compare with: tflm, litert or onnxruntime; left out, the one whose "
        "rounding the network asks for.")] = None,
    layers: Annotated[bool, typer.Option(
        "--layers", help="Show each layer: cycles, and bytes that differ from the golden model. "
        "Takes a build that keeps all tensors.")] = False,
    vcd: Annotated[Path | None, typer.Option(help="Write waveforms to this file.")] = None,
):
    """Run a quantised network on the simulated RTL and compare it with the runtime it belongs to.

    The whole network runs on the accelerator; only softmax runs on the host. The accelerator is
    compiled for simulation at the first run; without --board its memories are as large as the
    network needs. Ends with status 1 if any byte differs that should not.
    """
    from host.accelerated import SimulatedAccelerator
    from host.cli.layer_table import draw_digits, layer_table
    from host.cli.show import console, progress
    from host.comparison import Comparison
    from host.digits import held_out, model_bytes
    from host.fitting import fit, shortages
    from host.inputs import load_inputs, noise
    from host.models import read_model
    from host.session import Session

    if output_file:
        check_target(output_file)
    source = model_bytes() if model is None else model
    graph = read_model(source)
    digits = held_out() if model is None and not input_files else None
    layers = layers or digits is not None
    comparison = Comparison(source, graph, compare, layers)
    chosen, params = build_of(board, rows, cols, lanes, requantize, pixel_lanes=pixel_lanes)
    if chosen is None:
        params = fit(graph, params, keep=layers)
    elif short := shortages(graph, params, shared_bytes=chosen.shared_bytes, keep=layers):
        kept = " with all its tensors kept (--layers)" if layers else ""
        raise ValueError(f"the network{kept} does not fit {chosen.title}; "
                         + "; ".join(each.text for each in short))
    with progress() as step:
        step("compiling the accelerator for simulation (once)")
        simulated = SimulatedAccelerator(params, trace=vcd)
    session = Session(graph, simulated, keep=layers)
    if digits:
        inputs = [digits.pictures]
    else:
        inputs = load_inputs(session.inputs, input_files) if input_files else noise(
            session.inputs, 1)
    inputs = [x[:pictures] for x in inputs]
    count, runs = len(inputs[0]), []
    with progress(total=count) as step:
        for number, done in enumerate(session.results(*inputs)):
            step(f"input {number + 1} of {count}")
            comparison.take(done)
            runs.append(done)
        simulated.sim.close()
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


def _summary(console, session, runs):
    params, program = session.target.params, session.program
    products, cycles = params.products, runs[0].cycles
    text = (f"{cycles:,} cycles on {params.shape} products for each of {len(runs)} "
            f"input{'s' * (len(runs) > 1)}")
    if program.macs:
        text += (f": {program.macs:,} MACs take at least {-(-program.macs // products):,} cycles; "
                 f"{program.macs / products / cycles:.1%} of the products are at work")
    console.print(text, highlight=False)


def _save(path, session, outputs):
    import numpy as np

    with path.open("wb") as file:  # so that no suffix is added to the name
        if len(outputs) == 1:
            np.save(file, outputs[0])
        else:
            np.savez(file, **{end.name: y for end, y in zip(session.outputs, outputs, strict=True)})
