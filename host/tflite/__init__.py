"""Importer of int8 .tflite models."""

from host.tflite.reader import read_tflite

__all__ = ["read_tflite"]
