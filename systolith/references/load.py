"""The reference of a model: the runtime whose bytes its graph has to give."""

from systolith.frontends.model_file import format_of

__all__ = ["reference_of"]


def reference_of(source):
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
