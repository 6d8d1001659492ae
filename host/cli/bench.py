import json as json_format
from typing import Annotated

import typer

__all__ = ["bench"]


def bench(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
):
    """Count the cycles of typical layers on 8x8 cores, beside the least that products alone take.

    Cycles come from the counter in the simulated RTL, from the first input to the last output; they
    are the same on any machine. The speed of the simulation is printed too.
    """
    from host.benchmark import NAMES, PEERS, run_benchmark
    from host.cli.show import console, progress, table

    with progress(total=len(NAMES) + 2) as step:
        results, speeds = run_benchmark(step)
    if json:
        print(json_format.dumps({"layers": results, "simulation": speeds}, indent=2))
        return
    view = table("Cycles on 8 x 8 products", "layer", "MACs", "cycles", "floor", "ratio",
                 "utilisation", "band", "depth", "lanes")
    for row in results:
        view.add_row(
            row["layer"], f"{row['macs']:,}", f"{row['cycles']:,}", f"{row['floor_cycles']:,}",
            f"{row['cycles'] / row['floor_cycles']:.3f}", f"{row['utilisation']:.2%}",
            *(str(row[name]) for name in ("band", "depth", "lanes")))
    console.print(view)
    best = max(row["macs_per_cycle"] for row in results)
    for name, peak in PEERS.items():
        console.print(f"{name}: at most {peak} MACs/cycle; the best above is {best / peak:.2f} "
                      "times that", highlight=False)
    for row in speeds:
        console.print(f"simulation of {row['core']}: {row['cycles_per_second'] / 1e6:.2f} million "
                      f"cycles/s, compiled in {row['compile_seconds']:.1f} s", highlight=False)
