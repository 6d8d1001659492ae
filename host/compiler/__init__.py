"""From graphs to programs of the accelerator."""

from host.compiler.build import compile_graph, input_words, needs_of
from host.compiler.program import Program, Segment

__all__ = ["Program", "Segment", "compile_graph", "input_words", "needs_of"]
