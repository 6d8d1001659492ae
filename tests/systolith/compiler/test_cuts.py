"""What the host's part of a network costs."""

from systolith.compiler import compile_graph
from systolith.compiler.cuts import crossing, cuts_of
from systolith.compiler.estimate import check
from systolith.compiler.fitting import small_build
from systolith.frontends.model_file import read_model
from systolith.frontends.tflite.writer import FileOptions, write_tflite
from systolith.graph.ir import Graph, Operator, Tensor

SHAPE = 1, 6, 6, 5  #: Of two words a pixel.
WORDS = 36 * 2 * 4  #: Bytes of a tensor.


def network(*kinds):
    """Operators, one after the other."""
    tensors = [Tensor(name=f"t{index}", shape=SHAPE, scales=(1 / 128,))
               for index in range(len(kinds) + 1)]
    options = {"L2_NORMALIZATION": "L2NormOptions"}
    return read_model(write_tflite(Graph(
        tensors=tuple(tensors), inputs=(0,), outputs=(len(kinds),), operators=tuple(
            Operator(kind=kind, inputs=(index,), outputs=(index + 1,), index=index,
                     attributes=FileOptions(table=options.get(kind, "NONE")))
            for index, kind in enumerate(kinds)))), partition=True)


def test_between_two_segments():
    graph = network("RELU", "L2_NORMALIZATION", "RELU")
    program = compile_graph(graph, small_build(4, 4), partition=True)
    step, = program.rest
    assert (crossing(program, step), cuts_of(program, step)) == (2 * WORDS, 1)
    step, = check(graph, small_build(4, 4)).as_dict()["host"]
    assert set(step) == {"numbers", "names", "reason", "bytes", "cuts", "macs"}
    assert (step["bytes"], step["cuts"]) == (2 * WORDS, 1)


def test_at_an_end():
    step, = check(network("RELU", "L2_NORMALIZATION"), small_build(4, 4)).host
    assert (step.bytes, step.cuts) == (WORDS, 0)


def test_where_there_is_nothing_else():
    found = check(network("L2_NORMALIZATION"), small_build(4, 4))
    assert (found.segments, found.host[0].bytes, found.host[0].cuts) == (0, 0, 0)
