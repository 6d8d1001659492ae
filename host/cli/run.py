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
    pictures: Annotated[int, typer.Option(
        min=1, max=10_000, help="How many inputs to run at the most.")] = 100,
    rows: Rows = 8,
    cols: Cols = 8,
    vcd: Annotated[Path | None, typer.Option(help="Write waveforms to this file.")] = None,
):
    """Run an int8 network on the simulated RTL and compare it with TensorFlow Lite Micro.

    Every convolution and fully connected layer runs on a Conv2d core, compiled at the first run;
    the operators between them run on the host. Every byte of every layer is compared.
    """
    from host.cli.show import console, progress
    from host.cores import build_core
    from host.digits import held_out, model_bytes
    from host.reference import Reference
    from host.rtl_run import RtlRun
    from host.tflite import read_tflite

    source = model_bytes() if model is None else model
    graph = read_tflite(source)
    if len(graph.inputs) != 1:
        raise ValueError(f"{model} has {len(graph.inputs)} inputs; only networks of one can run")
    digits = held_out() if model is None and input_file is None else None
    x = (digits.pictures if digits else _inputs(graph, input_file, pictures))[:pictures]
    with progress(total=len(graph.operators) + len(x)) as step:
        step("compiling the core for simulation (once)")
        runner = RtlRun(build_core("conv2d", rows=rows, cols=cols), trace=vcd)
        values, layers = runner.run(graph, x, progress=lambda operator: step(
            f"operator {operator.index}: {operator.kind}"))
        runner.simulated.sim.close()
        differing, compared = _compare(Reference(source), x, values, step)
    result = values[graph.outputs[0]]
    if digits:
        _draw(console, digits, result)
    console.print(_layer_table(runner.core, layers, len(x), differing))
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


def _compare(reference, x, values, step):
    """Bytes that differ by index of tensor, and how many were compared."""
    differing, compared = {}, 0
    for number, picture in enumerate(x):
        step(f"TensorFlow Lite Micro: input {number + 1} of {len(x)}")
        for index, want in reference.layers(picture[None]).items():
            got = values[index][number].reshape(-1)
            differing[index] = differing.get(index, 0) + int((got != want.reshape(-1)).sum())
            compared += got.size
    return differing, compared


def _layer_table(core, layers, count, differing):
    from host.cli.show import table

    array = core.array
    result = table(
        f"Conv2d core of {array.rows} x {array.cols} products, {array.fir_rows} of the rows also "
        f"FIR;\ndepth {core.depth}, {core.lanes} lanes of requantisation; figures for one input",
        "operator", "result", "MACs", "cycles", "floor", "use", "band", "differ")
    total = None
    for layer in layers:
        report = layer.report
        figures = ["", "on host", "", "", ""]
        if report:
            total = total + report if total else report
            figures = _figures(report, count)
        result.add_row(
            f"{layer.operator.index} {layer.operator.kind}", "x".join(map(str, layer.shape)),
            *figures, str(differing[layer.operator.outputs[0]]))
    if total:
        result.add_section()
        result.add_row("on the core", "", *_figures(total, count)[:-1], "",
                       str(sum(differing.values())))
    return result


def _figures(report, count):
    return [f"{report.macs / count:,.0f}", f"{report.cycles / count:,.0f}",
            f"{report.floor / count:,.0f}", f"{report.utilisation:.1%}", str(report.band)]


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
