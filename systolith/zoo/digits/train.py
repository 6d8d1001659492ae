"""Train, quantise and write the network: ``python -m systolith.zoo.digits.train --output FILE``."""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from sim.golden.types import Float32
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import Graph
from systolith.zoo.digits.data import Digits, held_out, training
from systolith.zoo.digits.network import Network, Parameters, digits_network
from systolith.zoo.digits.quantise import quantise

__all__ = ["accuracy", "build"]

BATCH, RATE = 32, 6e-3

#: Takes the number of an epoch, and its mean loss.
Report = Callable[[int, float], None]


def _distort(rng: np.random.Generator, images: Float32, shift: float = 0.4,
             zoom: float = 0.1) -> np.ndarray:
    """``images`` moved by up to ``shift`` pixels and stretched by up to ``zoom``, each axis on
    its own, with linear interpolation."""
    def weights() -> Float32:
        n, size = images.shape[:2]
        at = np.arange(size) - (size - 1) / 2
        source = at * (1 + rng.uniform(-zoom, zoom, (n, 1))) + rng.uniform(-shift, shift, (n, 1))
        return np.maximum(0, 1 - np.abs(source[:, :, None] - at)).astype(np.float32)

    return (weights() @ images[..., 0] @ weights().transpose(0, 2, 1))[..., None]


class _Adam:
    """Steps along gradients scaled by their running magnitude.

    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.
    """

    def __init__(self, network: Network) -> None:
        self.layers, self.steps = [layer for layer, _ in network.layers], 0
        self.moments = [{name: (np.zeros_like(value), np.zeros_like(value))
                         for name, value in layer.parameters.items()} for layer in self.layers]

    def step(self, gradients: Sequence[Parameters], rate: float) -> None:
        self.steps += 1
        for layer, moments, parts in zip(self.layers, self.moments, gradients, strict=True):
            for name, gradient in parts.items():
                mean, square = moments[name]
                mean += 0.1 * (gradient - mean)
                square += 0.001 * (gradient * gradient - square)
                mean, square = mean / (1 - 0.9 ** self.steps), square / (1 - 0.999 ** self.steps)
                layer.parameters[name] -= rate * mean / (np.sqrt(square) + 1e-8)


def _train(seed: int, epochs: int, report: Report) -> Network:
    rng = np.random.default_rng(seed)
    network, digits = digits_network(rng), training()
    images, optimiser = digits.real, _Adam(network)
    batches = -(-len(images) // BATCH)
    for epoch in range(epochs):
        losses = []
        for batch in np.array_split(rng.permutation(len(images)), batches):
            loss, gradients = network.loss(_distort(rng, images[batch]), digits.labels[batch])
            done = optimiser.steps / (epochs * batches)
            optimiser.step(gradients, RATE * (1 + np.cos(np.pi * done)) / 2)
            losses.append(loss)
        report(epoch, float(np.mean(losses)))
    return network


@threadpool_limits.wrap(1)  # a sum split between threads is rounded differently
def build(seed: int, epochs: int,
          report: Report = lambda epoch, loss: None) -> tuple[Network, Graph]:
    """A network trained from ``seed``, and its int8 :class:`~systolith.graph.ir.Graph`.

    ``report`` hears the number of each epoch and its mean loss. The same seed gives the same
    network on one machine, not on any: linear algebra differs in its last bits between processors.
    """
    network = _train(seed, epochs, report)
    return network, quantise(network, training().real)


def accuracy(scores: np.ndarray, digits: Digits) -> float:
    """Share of ``digits`` whose label has the highest of the ``scores`` (n, 10)."""
    return float((scores.argmax(axis=1) == digits.labels).mean())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m systolith.zoo.digits.train",
                                     description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("digits.tflite"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=100)
    arguments = parser.parse_args()
    if not arguments.output.parent.is_dir():
        parser.error(f"there is no folder {arguments.output.parent} to write to")

    def report(epoch: int, loss: float) -> None:
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1} of {arguments.epochs}: loss {loss:.4f}", flush=True)

    start = time.monotonic()
    network, graph = build(arguments.seed, arguments.epochs, report)
    data = write_tflite(graph)
    arguments.output.write_bytes(data)
    for name, digits in (("training", training()), ("held out", held_out())):
        scores = run_graph(graph, digits.images)[graph.outputs[0]]
        print(f"{name}, {len(digits.labels)} images: "
              f"{accuracy(network.forward(digits.real)[-1], digits):.2%} in floating point, "
              f"{accuracy(scores, digits):.2%} in int8")
    print(f"{arguments.output}: {len(data)} bytes, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
