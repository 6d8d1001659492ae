"""Importer of int8 .tflite models."""

from systolith.frontends.tflite.reader import read_tflite

__all__ = ["read_tflite"]
