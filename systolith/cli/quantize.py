from pathlib import Path
from typing import Annotated

import typer

from systolith.cli.files import check_target
from systolith.cli.options import one_of_these
from systolith.cli.pixels import Layout, Mean, Scale, Size, pixels_of, size_of

__all__ = ["quantize"]


def quantize(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="A float .onnx network.")],
    calibrate: Annotated[Path, typer.Option(
        "--calibrate", metavar="DATA", help="Typical inputs: a .npy or .npz file (n, ...), or a "
        "folder of images. Real numbers are taken as they are; pixels of 0 to 255 become "
        "(p - mean) / scale.")],
    output: Annotated[Path, typer.Option(
        "--output", "-o", metavar="MODEL.int8.onnx", help="The file to write.")],
    count: Annotated[int, typer.Option(
        min=1, max=100_000, help="The most inputs to calibrate with, evenly spread.")] = 200,
    method: Annotated[str, typer.Option(
        autocompletion=one_of_these("minmax", "entropy", "percentile"),
        help="How ranges are chosen: minmax takes all numbers that occur; entropy and percentile "
        "clip rare ones.")] = "minmax",
    layout: Layout = None,
    size: Size = None,
    mean: Mean = "0",
    scale: Scale = "255",
) -> None:
    """Make an int8 network of a float one, by onnxruntime's own quantiser.

    It sees which numbers occur for typical inputs, some hundred of them, and chooses scales for
    int8. The result runs on the accelerator and in onnxruntime, byte for byte alike. For Keras and
    TensorFlow see docs/quantise.md.
    """
    from rtl.validate import one_of
    from systolith.cli.progress import progress
    from systolith.quantisation.calibration import read_examples
    from systolith.quantisation.float_model import input_shapes, load_float
    from systolith.quantisation.quantise import METHODS, quantise

    check_target(output)
    if output.exists() and output.samefile(model):
        raise ValueError(f"{output} is the network to be quantised: name another file")
    one_of("method", method, METHODS)
    pixels = pixels_of(layout, mean, scale)
    source = load_float(model, size_of(size))
    examples = read_examples(calibrate, input_shapes(source), pixels, count)
    with progress(len(examples) + 1) as step:
        quantise(model, source, examples, output, method=method, step=step)
    _show(output)


def _show(path: Path) -> None:
    """Say where the operators of the network run, and what to do next."""
    from rtl.wording import counted
    from systolith.cli.show import console
    from systolith.compiler.partition import partition
    from systolith.frontends.model_file import read_model
    from systolith.graph.ir import ModelError

    try:
        graph = read_model(path)
    except ModelError as error:
        raise ValueError(f"{path} is written, but does not run on the accelerator: "
                         f"{error}") from error
    parts = partition(graph)
    host = [f"{each.index} {each.kind}" for each in graph.operators if parts.on_host(each)]
    console.print(f"{path}: {counted(len(graph.operators), 'operator')}, "
                  + (f"of which the host runs {', '.join(host)}" if host
                     else "all of them on the accelerator"))
    console.print(f"next: systolith check {path} --board all")
