"""Handwritten digits: a small int8 network of our own, and real images to run it on."""

from systolith.zoo.digits.data import Digits, held_out, model_bytes, training

__all__ = ["Digits", "held_out", "model_bytes", "training"]
