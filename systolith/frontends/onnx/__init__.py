"""Importer of quantised .onnx models. Imports are absolute: ``onnx`` is the wheel here too."""

from systolith.frontends.onnx.reader import read_onnx

__all__ = ["read_onnx"]
