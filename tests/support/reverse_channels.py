"""An operator of somebody else's, in one file: channels in the opposite order, by the host."""

from systolith.graph.attributes import Attributes
from systolith.graph.golden import result_like, same_numbers
from systolith.graph.record import OperatorRecord, register

__all__ = ["RECORD"]


def _golden(graph, operator, x):
    return x[..., ::-1]


def _convert(node):
    node.expect(None, 1)
    node.result(node.activation(0).shape)
    return Attributes()


RECORD = OperatorRecord(
    kind="REVERSE_CHANNELS", shape=result_like, complaint=same_numbers,
    golden=dict.fromkeys(("tflm", "float32"), _golden),
    tflite={"CUSTOM ReverseChannels": _convert})

register(RECORD)
