"""Any function of one number, as the table of it that an importer found."""

import numpy as np

from sim.golden.types import Int8
from systolith.compiler.lowering.elementwise import function
from systolith.graph.attributes import Lookup
from systolith.graph.golden import result_like
from systolith.graph.ir import Graph, Operator
from systolith.graph.record import Channels, Locality, OperatorRecord, register

__all__: list[str] = []


def _golden(graph: Graph, operator: Operator, x: Int8) -> Int8:
    attributes: Lookup = operator.attributes
    return np.array(attributes.table, np.int8)[x.astype(np.int16) + 128]


register(OperatorRecord(
    kind="LOOKUP", attributes=Lookup, shape=result_like,
    golden=dict.fromkeys(("tflm", "float32"), _golden), lower=function,
    units=frozenset({"addition", "pooling"}), channels=Channels.SAME, locality=Locality.ELEMENT,
    select=lambda operator, keep: operator.attributes))
