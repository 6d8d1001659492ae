from pathlib import Path
from typing import Annotated

import typer

from systolith.cli.files import check_target, load, save

__all__ = ["gemm"]


def gemm(
    a: Annotated[Path, typer.Argument(metavar="A.npy", help="int8 matrix (M, K).")],
    b: Annotated[Path, typer.Argument(metavar="B.npy", help="int8 matrix (K, N).")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="C.npy",
                                         help="Write the int32 product (M, N) to this file.")],
    rows: Annotated[int, typer.Option(help="Rows of the array: taps at a time.")] = 8,
    cols: Annotated[int, typer.Option(help="Columns of the array: filters at a time.")] = 8,
    vcd: Annotated[Path | None, typer.Option(help="Write waveforms to this file.")] = None,
):
    """Multiply two int8 matrices on the simulated RTL, and check the product with NumPy."""
    import numpy as np

    from rtl.catalog import build_core
    from systolith.cli.show import console, progress
    from systolith.runtime.simulated_cores import SimulatedGemm

    left, right = (_matrix(path) for path in (a, b))
    for target in filter(None, (output, vcd)):
        check_target(target)
    with progress() as step:
        step("compiling the core")
        simulated = SimulatedGemm(build_core("gemm", rows=rows, cols=cols), trace=vcd)
        step("multiplying")
        product, report = simulated.run(left, right)
        simulated.sim.close()
    wrong = int((product != left.astype(np.int64) @ right.astype(np.int64)).sum())
    save(output, product)
    console.print(
        f"{left.shape[0]} x {left.shape[1]} times {right.shape[0]} x {right.shape[1]} on "
        f"{rows} x {cols} products: {report.cycles} cycles, utilisation {report.utilisation:.1%} "
        f"(floor {report.floor} cycles; band {report.band}, depth {report.depth}, lanes "
        f"{report.drain_lanes})")
    console.print(f"{wrong} of {product.size} sums differ from NumPy")
    if wrong:
        raise typer.Exit(1)


def _matrix(path):
    import numpy as np

    array = load(path)
    if array.dtype != np.int8 or array.ndim != 2:
        raise ValueError(f"{path} must hold a matrix of int8, not {array.ndim} axes of "
                         f"{array.dtype}; convert it with .astype(numpy.int8)")
    return array
