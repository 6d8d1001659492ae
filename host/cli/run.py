from pathlib import Path
from typing import Annotated

import typer

from host.cli.options import Cols, Rows

__all__ = ["run"]

#: Digits that are drawn: as many as fit into 80 columns.
DRAWN = 4


def run(
    model: Annotated[Path | None, typer.Argument(
        metavar="[MODEL.tflite]", help="An int8 network; left out, one that reads handwritten "
        "digits.")] = None,
    input_file: Annotated[Path | None, typer.Option(
        "--input", metavar="X.npy", help="int8 inputs (n, ...); left out, digits, or noise for a "
        "network of yours.")] = None,
    output_file: Annotated[Path | None, typer.Option(
        "--output", metavar="Y.npy", help="Where the int8 outputs (n, ...) go.")] = None,
    pictures: Annotated[int, typer.Option(
        min=1, max=10_000, help="How many inputs to run at the most.")] = 100,
    rows: Rows = 8,
    cols: Cols = 8,
    vcd: Annotated[Path | None, typer.Option(help="Write waveforms to this file.")] = None,
):
    """Run an int8 network on the simulated RTL and compare it with TensorFlow Lite Micro.

    The whole network runs on the accelerator, one go for each input; only softmax and the like at
    its end run on the host. Every byte of every layer is compared. The accelerator is compiled for
    simulation at the first run.
    """
    import numpy as np

    from host.accelerated import SimulatedAccelerator
    from host.cli.show import console, progress
    from host.compiler import compile_graph
    from host.digits import held_out, model_bytes
    from host.fitting import fit, small_build
    from host.reference import Reference
    from host.tflite import read_tflite

    source = model_bytes() if model is None else model
    graph = read_tflite(source)
    if len(graph.inputs) != 1:
        raise ValueError(f"{model} has {len(graph.inputs)} inputs; only networks of one can run")
    digits = held_out() if model is None and input_file is None else None
    x = (digits.pictures if digits else _inputs(graph, input_file, pictures))[:pictures]
    params = fit(graph, small_build(rows, cols), keep=True)
    with progress(total=2 * len(x) + 1) as step:
        step("compiling the accelerator for simulation (once)")
        simulated = SimulatedAccelerator(params, trace=vcd)
        simulated.load(compile_graph(graph, params, keep=True))
        runs = []
        for number, picture in enumerate(x):
            step(f"input {number + 1} of {len(x)} on the accelerator")
            runs.append(simulated.run(picture[None]))
        simulated.sim.close()
        reference, differing, compared = Reference(source), {}, 0
        for number, (picture, done) in enumerate(zip(x, runs, strict=True)):
            step(f"input {number + 1} of {len(x)} on TensorFlow Lite Micro")
            for index, want in reference.layers(picture[None]).items():
                got = done.values[index]
                differing[index] = differing.get(index, 0) + int((got != want).sum())
                compared += got.size
    result = np.concatenate([done.values[graph.outputs[0]] for done in runs])
    if output_file:
        np.save(output_file, result)
    if digits:
        _draw(console, digits, result)
    console.print(_layer_table(simulated, runs[0], differing))
    if digits:
        right = int((result.argmax(axis=1) == digits.labels[:len(x)]).sum())
        console.print(f"{right} of {len(x)} held-out digits are read right ({right / len(x):.1%})")
    wrong = sum(differing.values())
    console.print(f"{wrong} of {compared} bytes differ from TensorFlow Lite Micro",
                  style="bold green" if wrong == 0 else "bold red", highlight=False)
    if wrong:
        raise typer.Exit(1)


def _inputs(graph, path, pictures):
    import numpy as np

    shape = graph.tensors[graph.inputs[0]].shape[1:]
    if path is None:
        return np.random.default_rng(0).integers(-128, 128, (min(pictures, 4), *shape), np.int8)
    try:
        x = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is not an array that numpy.save wrote: {error}") from error
    if not isinstance(x, np.ndarray) or x.dtype != np.int8 or x.shape[1:] != shape or not len(x):
        raise ValueError(f"{path} must hold int8 inputs of the shape (n, "
                         f"{', '.join(map(str, shape))}), not "
                         f"{getattr(x, 'dtype', type(x).__name__)} {getattr(x, 'shape', '')}")
    return x


def _layer_table(simulated, done, differing):
    from host.cli.show import table

    params, program = simulated.params, simulated.program
    array = params.array
    products = array.rows * array.cols
    result = table(
        f"Accelerator of {array.rows} x {array.cols} products, {array.fir_rows} of the rows also "
        f"FIR;\ndepth {params.depth}, {params.lanes} lanes of requantisation; cycles of one input",
        "operator", "result", "MACs", "cycles", "floor", "use", "band", "differ")
    for operator in program.graph.operators:
        mine = [(layer, cycles) for layer, cycles in zip(program.layers, done.layer_cycles,
                                                         strict=True)
                if layer.operator is operator]
        macs, cycles = sum(layer.macs for layer, _ in mine), sum(cycles for _, cycles in mine)
        bands = [str(layer.plan.band) for layer, _ in mine if layer.plan]
        result.add_row(
            f"{operator.index} {operator.kind}",
            "x".join(map(str, done.values[operator.outputs[0]].shape[1:])),
            *_figures(macs, cycles, products,
                      "host" if operator in program.rest else "no work"),
            ",".join(bands), str(differing[operator.outputs[0]]))
    result.add_section()
    result.add_row("from go to done", "", *_figures(program.macs, done.cycles, products, ""), "",
                   str(sum(differing.values())))
    return result


def _figures(macs, cycles, products, otherwise):
    if not cycles:
        return "", otherwise, "", ""
    if not macs:
        return "", f"{cycles:,}", "", ""
    floor = -(-macs // products)
    return f"{macs:,}", f"{cycles:,}", f"{floor:,}", f"{macs / products / cycles:.1%}"


def _draw(console, digits, result):
    from rich.text import Text

    labels = digits.labels[:len(result)].tolist()
    chosen = [labels.index(label) for label in dict.fromkeys(labels)][:DRAWN]
    for line in range(8):
        console.print(Text("   ".join("".join(" ░▒▓█"[-(-int(grey) // 4)] * 2 for grey in picture)
                                      for picture in digits.greys[chosen, line])))
    names = []
    for index in chosen:
        label, scores = labels[index], result[index]
        guess = int(scores.argmax())
        share = (int(scores[guess]) + 128) / 256
        names.append(f"read as {guess} ({share:.0%})" if guess == label
                     else f"{label} read as {guess}!")
    console.print(Text("   ".join(name.ljust(16) for name in names)))
