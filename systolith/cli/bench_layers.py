"""What ``systolith bench --layers`` shows."""

import json as json_format

from systolith.benchmarks.layers import NAMES, PEERS, bench_layers
from systolith.cli.progress import progress
from systolith.cli.show import Table, console

__all__ = ["show_layers"]


def show_layers(json: bool) -> None:
    """Run typical layers, and show their cycles, or all figures as JSON."""
    with progress(total=len(NAMES) + 2) as step:
        results, speeds = bench_layers(step)
    if json:
        print(json_format.dumps({"layers": results, "simulation": speeds}, indent=2))
        return
    view = Table("Cycles on 8 x 8 products", "layer", "MACs", "cycles", "floor", "ratio",
                 "util.", "band", "depth", "drain lanes", json=True,
                 drop=("depth", "drain lanes", "band", "ratio", "floor", "MACs"))
    for row in results:
        view.add_row(
            row["layer"], f"{row['macs']:,}", f"{row['cycles']:,}", f"{row['floor_cycles']:,}",
            f"{row['cycles'] / row['floor_cycles']:.3f}", f"{row['utilisation']:.2%}",
            *(str(row[name]) for name in ("band", "depth", "drain_lanes")))
    view.print()
    best = max(row["macs_per_cycle"] for row in results)
    for name, peak in PEERS.items():
        console.print(f"{name}: at most {peak} MACs per cycle; the best above is "
                      f"{best / peak:.2f} times that")
    for row in speeds:
        console.print(f"simulation of {row['core']}: {row['cycles_per_second'] / 1e6:.2f} million "
                      f"cycles/s, compiled in {row['compile_seconds']:.1f} s")
