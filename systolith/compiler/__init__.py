"""From graphs to programs of the accelerator."""

from systolith.compiler.codegen.program import Program, Segment
from systolith.compiler.codegen.tensor_words import input_words
from systolith.compiler.compile import compile_graph, needs_of

__all__ = ["Program", "Segment", "compile_graph", "input_words", "needs_of"]
