"""What ``systolith run`` shows and keeps of its results."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from rtl.wording import counted
from systolith.cli.files import save_npz, writing
from systolith.cli.layer_table import draw_digits, layer_table
from systolith.cli.predictions import predictions
from systolith.cli.show import console
from systolith.compiler import Program
from systolith.frontends.labels import read_labels
from systolith.frontends.source import Source
from systolith.graph.attributes import Foreign
from systolith.references.comparison import Comparison
from systolith.references.host_runtime import host_runtime_of
from systolith.runtime.session import Session
from systolith.runtime.target import Run
from systolith.zoo.digits import Digits

__all__ = ["save_outputs", "show_run"]


def save_outputs(path: Path, session: Session, outputs: Sequence[np.ndarray]) -> None:
    """Write the outputs of a session to one file."""
    with writing(path), path.open("wb") as file:  # so that no suffix is added to the name
        if len(outputs) == 1:
            np.save(file, outputs[0])
        else:
            save_npz(file, {end.name: y for end, y in zip(session.outputs, outputs, strict=True)})


def show_run(source: Source, session: Session, runs: Sequence[Run], outputs: Sequence[np.ndarray],
             comparison: Comparison, *, digits: Digits | None, noise: bool) -> None:
    """Show what came of a run of the model ``source``: of the held-out ``digits``, if it is not
    None, or else of images, which may be ``noise``."""
    if digits:
        draw_digits(console, digits, outputs[0])
    if comparison.layers:
        layer_table(session, runs[0], comparison.golden).print()
    else:
        _summary(session, runs)
    if digits:
        _accuracy(digits, outputs[0])
    else:
        _predictions(source, session, outputs, noise)
    for text, good in comparison.verdicts():
        console.print(text, style="bold green" if good else "bold red")


def _summary(session: Session, runs: Sequence[Run]) -> None:
    """Say what an image takes, and how well the accelerator is used."""
    program = session.program
    assert program is not None  # as the golden models alone run none
    params = program.params
    products, cycles = params.products, runs[0].cycles
    console.print(f"{counted(len(runs), 'image')} on {params.shape} products: "
                  f"{counted(cycles, 'cycle')} per image")
    if program.macs:
        console.print(f"{counted(program.macs, 'MAC')} take at least "
                      f"{counted(-(-program.macs // products), 'cycle')}: "
                      f"{program.macs / products / cycles:.1%} utilisation")
    for name in _host_runtimes(program):
        console.print(name)
    if len(runs) > 1:
        console.print("inputs and outputs are moved "
                      f"{'between' if session.alone else 'during'} runs")


def _host_runtimes(program: Program) -> Iterator[str]:
    """What the host ran, and by what."""
    ran: dict[str, list[str]] = {}
    for op in program.rest:
        foreign = op.attributes if isinstance(op.attributes, Foreign) else None
        runtime = host_runtime_of(foreign.model) if foreign else ""
        ran.setdefault(runtime or "the golden models", []).extend(
            foreign.names if foreign else [op.kind])
    for runtime, names in ran.items():
        yield f"{runtime} ran {counted(len(names), 'operator')} on the host: " + ", ".join(
            dict.fromkeys(names))


def _accuracy(digits: Digits, scores: np.ndarray) -> None:
    """Say how many of the digits are recognised."""
    right = int((scores.argmax(axis=1) == digits.labels[:len(scores)]).sum())
    console.print(f"{right} of {counted(len(scores), 'held-out digit')} are recognised "
                  f"({right / len(scores):.1%})")


def _predictions(source: Source, session: Session, outputs: Sequence[np.ndarray],
                 noise: bool) -> None:
    """Say which classes the images are of, if the network tells; ``noise`` are no images."""
    labels = cache(lambda count: read_labels(source, count))
    views = list(predictions(session.graph, session.outputs, outputs, labels))
    for view in views:
        view.print()
    if views and noise:
        console.print("the image is noise, as there is no --input", style="dim")
