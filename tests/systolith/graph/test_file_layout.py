"""Numbers of a file and those of its graph: there and back, in whatever form a runtime has them."""

import numpy as np
import pytest

from systolith.graph.file_layout import axes_of_file, from_graph, from_runtime, to_graph, to_runtime
from systolith.graph.ir import Tensor

#: The axes of the file, of a graph's (1, 4, 3, 2) or (1, 1, 3, 2).
SHAPES = {"NHWC": (1, 4, 3, 2), "NCHW": (1, 2, 4, 3), "NWC": (1, 3, 2), "NCW": (1, 2, 3)}


def tensor(layout, unsigned):
    shape = (1, 1, 3, 2) if layout in {"NWC", "NCW"} else (1, 4, 3, 2)
    return Tensor(name="x", shape=shape, scales=(0.5,), zero_point=-3, layout=layout,
                  unsigned=unsigned)


@pytest.mark.parametrize("layout", SHAPES)
@pytest.mark.parametrize("unsigned", [False, True])
def test_there_and_back(layout, unsigned):
    end = tensor(layout, unsigned)
    x = np.random.default_rng(0).integers(-128, 128, (5, *end.shape[1:])).astype(np.int8)
    file = from_graph(end, x)
    assert file.shape == (5, *SHAPES[layout][1:])
    assert file.dtype == (np.uint8 if unsigned else np.int8)
    np.testing.assert_array_equal(file, axes_of_file(end, x.astype(int) + 128 * unsigned))
    np.testing.assert_array_equal(to_graph(end, file), x)
    np.testing.assert_array_equal(to_runtime(end, x, file.dtype), file)
    np.testing.assert_array_equal(from_runtime(end, file), x)
    real = to_runtime(end, x, np.float32)
    np.testing.assert_array_equal(real, axes_of_file(end, (x.astype(float) + 3) / 2))
    np.testing.assert_array_equal(from_runtime(end, real), x)


@pytest.mark.parametrize("unsigned, dtype", [(False, "uint8"), (True, "int8")])
def test_refuses_another_type(unsigned, dtype):
    end = tensor("NHWC", unsigned)
    with pytest.raises(TypeError, match=r"^input x must be u?int8, not " + dtype + "$"):
        to_graph(end, np.zeros((1, 4, 3, 2), dtype))
