from pathlib import Path
from typing import Annotated

import typer

from systolith.cli.files import check_target
from systolith.cli.options import one_of_these

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
    layout: Annotated[str | None, typer.Option(
        autocompletion=one_of_these("nchw", "nhwc"), help="Order of the axes of the network's "
        "input; by default, as its shape says.")] = None,
    size: Annotated[str | None, typer.Option(
        metavar="HxW", help="Height and width, if the network leaves them open.")] = None,
    mean: Annotated[str, typer.Option(
        metavar="M[,M,M]", help="Mean of the pixels, for all channels or for each.")] = "0",
    scale: Annotated[str, typer.Option(
        metavar="S[,S,S]", help="What pixels less their mean are divided by.")] = "255",
) -> None:
    """Make an int8 network of a float one, by onnxruntime's own quantiser.

    It sees which numbers occur for typical inputs, some hundred of them, and chooses scales for
    int8. The result runs on the accelerator and in onnxruntime, byte for byte alike. For Keras and
    TensorFlow see docs/quantise.md.
    """
    from rtl.validate import one_of
    from systolith.cli.progress import progress
    from systolith.quantisation.calibration import Pixels, read_examples
    from systolith.quantisation.float_model import input_shapes, load_float
    from systolith.quantisation.quantise import METHODS, quantise

    check_target(output)
    if output.exists() and output.samefile(model):
        raise ValueError(f"{output} is the network to be quantised: name another file")
    one_of("method", method, METHODS)
    if layout is not None:
        one_of("layout", layout, ("nchw", "nhwc"))
    pixels = Pixels(mean=_numbers("mean", mean), scale=_numbers("scale", scale), layout=layout)
    if 0 in pixels.scale:
        raise ValueError("--scale must not be 0: pixels are divided by it")
    source = load_float(model, _size(size))
    examples = read_examples(calibrate, input_shapes(source), pixels, count)
    with progress(len(examples) + 1) as step:
        quantise(model, source, examples, output, method=method, step=step)
    _show(output)


def _show(path: Path) -> None:
    """Say where the operators of the network run, and what to do next."""
    from rtl.wording import counted
    from systolith.cli.show import console
    from systolith.frontends.model_file import read_model
    from systolith.graph.ir import ModelError
    from systolith.graph.record import record_of

    try:
        graph = read_model(path)
    except ModelError as error:
        raise ValueError(f"{path} is written, but does not run on the accelerator: "
                         f"{error}") from error
    host = [f"{each.index} {each.kind}" for each in graph.operators
            if record_of(each.kind).lower is None]
    console.print(f"{path}: {counted(len(graph.operators), 'operator')}, "
                  + (f"of which the host runs {', '.join(host)}" if host
                     else "all of them on the accelerator"))
    console.print(f"next: systolith check {path} --board all")


def _numbers(name: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(each) for each in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in {1, 3}:
        raise ValueError(f"--{name} must be a number, or three with commas, not {text!r}")
    return numbers


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(each.isdecimal() and int(each) for each in parts):
        raise ValueError(f"--size must be height x width, such as 32x32, not {text!r}")
    return int(parts[0]), int(parts[1])
