"""The reference of a model: the runtime whose bytes its graph has to give."""

from typing import TYPE_CHECKING

from systolith.frontends.model_file import format_of
from systolith.frontends.source import Source

if TYPE_CHECKING:
    from systolith.references.onnxruntime import OnnxReference
    from systolith.references.tflm import Reference

__all__ = ["reference_of"]


def reference_of(source: Source) -> "Reference | OnnxReference":
    """That of a .tflite or .onnx model, given by path or as bytes, loaded with it: a
    :class:`~systolith.references.tflm.Reference` or an
    :class:`~systolith.references.onnxruntime.OnnxReference`.

    Raises :exc:`~systolith.graph.ir.ModelError` for what is neither.
    """
    # Each takes a second to import, and one is enough.
    if format_of(source) == "tflite":
        from systolith.references.tflm import Reference

        return Reference(source)
    from systolith.references.onnxruntime import OnnxReference

    return OnnxReference(source)
