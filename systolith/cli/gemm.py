from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from systolith.cli.files import check_target, load, save
from systolith.cli.options import Cols, Rows, Vcd

if TYPE_CHECKING:
    from sim.golden.types import Int8

__all__ = ["gemm"]

#: Products of two int8 whose sum is an int32, whatever they are: -128 times -128 is 2^14.
MOST_PRODUCTS = (1 << 17) - 1


def gemm(
    a: Annotated[Path, typer.Argument(metavar="A.npy", help="int8 matrix (M, K).")],
    b: Annotated[Path, typer.Argument(metavar="B.npy", help="int8 matrix (K, N).")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="C.npy",
                                         help="Write the int32 product (M, N) to this file.")],
    rows: Rows = None,
    cols: Cols = None,
    vcd: Vcd = None,
) -> None:
    """Multiply two int8 matrices on the simulated RTL, and check the product against NumPy."""
    import numpy as np

    from rtl.catalog import build_core
    from rtl.wording import counted
    from systolith.cli.estimates import compiling
    from systolith.cli.progress import progress
    from systolith.cli.show import console
    from systolith.runtime.simulated_cores import SimulatedGemm

    left, right = (_matrix(path) for path in (a, b))
    if left.shape[1] != right.shape[0]:
        raise ValueError(f"matrices must be (M, K) and (K, N), not {left.shape} and {right.shape}")
    if left.shape[1] > MOST_PRODUCTS:
        raise ValueError(f"sums of {left.shape[1]} products may exceed int32; up to "
                         f"{MOST_PRODUCTS} are possible: split the matrices along K")
    for target in filter(None, (output, vcd)):
        check_target(target, inputs=(a, b))
    core = build_core("gemm", **{name: value for name, value in (("rows", rows), ("cols", cols))
                                 if value is not None})
    with compiling("compiling the core for simulation", "core", core.array.rows * core.array.cols):
        simulated = SimulatedGemm(core, trace=vcd)
    with progress() as step:
        step("multiplying")
        product, report = simulated.run(left, right)
        simulated.sim.close()
    wrong = int((product != left.astype(np.int64) @ right.astype(np.int64)).sum())
    save(output, product)
    console.print(
        f"{left.shape[0]} x {left.shape[1]} times {right.shape[0]} x {right.shape[1]} on "
        f"{core.array.rows} x {core.array.cols} products: {counted(report.cycles, 'cycle')}, "
        f"{report.utilisation:.1%} utilisation\n"
        f"floor {counted(report.floor, 'cycle')}; band {report.band}, depth {report.depth}, "
        f"{counted(report.drain_lanes, 'drain lane')}")
    console.print(f"{'' if wrong else 'exact: '}{wrong:,} of {counted(product.size, 'sum')} "
                  "differ from NumPy")
    if wrong:
        raise typer.Exit(1)


def _matrix(path: Path) -> "Int8":
    import numpy as np

    array = load(path)
    if array.dtype != np.int8 or array.ndim != 2:
        raise ValueError(f"{path} must hold a matrix of int8, not {array.ndim} axes of "
                         f"{array.dtype}; convert it with .astype(numpy.int8)")
    return array
