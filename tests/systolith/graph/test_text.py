"""Graphs as text."""

from systolith.frontends.tflite import read_tflite
from systolith.zoo.digits import model_bytes


def test_digits():
    lines = str(read_tflite(model_bytes())).splitlines()
    assert lines[0] == "graph, rounding tflm"
    assert lines[1] == "  input   %0 image: int8[1, 8, 8, 1] * 0.00416667 @ -128"
    assert lines[2] == (
        "      0   %3 0_conv_2d: int8[1, 8, 8, 16] * 0.0140569 @ -128 = CONV_2D(%0, const %1: "
        "int8[16, 3, 3, 1], const %2: int32[16]) {activation=RELU, stride=(1, 1), "
        "padding=((1, 1), (1, 1)), dilation=(1, 1)}")
    assert lines[6] == ("      4   %13 4_add: int8[1, 4, 4, 32] * 0.359458 @ -128 = ADD(%12, %6) "
                        "{activation=RELU}")
    assert lines[-1] == "  output  %19 8_softmax"
    assert len(lines) == 12
