"""What a phase of the compiler made of a network, as text."""

from rtl.accelerator import AcceleratorParams
from systolith.compiler.choice import program_of
from systolith.compiler.codegen.disassemble import text_of_program
from systolith.compiler.compile import run_phases
from systolith.compiler.options import Options
from systolith.compiler.passes import optimise_in_steps
from systolith.graph.ir import Graph

__all__ = ["PHASES", "dump"]

#: Phases that can be looked at, in their order.
PHASES = ("graph", "passes", "schedule", "memory", "program")


def dump(graph: Graph, params: AcceleratorParams, phase: str) -> str:
    """Text of one of the :data:`PHASES`: the graph as it was imported; after each pass that changed
    it; where each operator runs, and when; where each tensor lies, and how long; the descriptors.

    Raises :exc:`ValueError` for another phase, or for what the build cannot run.
    """
    match phase:
        case "graph":
            return str(graph)
        case "passes":
            return "\n\n".join(_changes(graph))
        case "schedule":
            return str(run_phases(graph, params, Options()).schedule)
        case "memory":
            return str(run_phases(graph, params, Options()).memory)
        case "program":
            return text_of_program(program_of(graph, params))
    raise ValueError(f"the phase must be one of {', '.join(PHASES)}, not {phase!r}")


def _changes(graph: Graph) -> list[str]:
    texts, before = [], graph
    for name, after in optimise_in_steps(graph):
        changed = str(after) != str(before)
        texts.append(f"after {name}: {after}" if changed else f"after {name}: no change")
        before = after
    return texts
