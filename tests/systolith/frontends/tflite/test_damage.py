"""Random damage to .tflite files: an error, or a graph that is whole. Never another exception,
never a hang, and never another network than the reference sees."""

import copy
import subprocess
import sys
import time

import flatbuffers
import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from systolith.frontends.tflite import read_tflite
from systolith.frontends.tflite.writer import write_tflite
from systolith.graph.interpreter import run_graph
from systolith.graph.ir import ModelError
from systolith.zoo.digits import held_out, model_bytes
from systolith.zoo.random import MOVEMENTS


@pytest.fixture(scope="module")
def regions():
    """Bytes of the file that are neither weights nor biases of a length to speak of."""
    data, rest = model_bytes(), np.ones(len(model_bytes()), bool)
    for tensor in read_tflite(data).tensors:
        if tensor.data is not None and tensor.data.nbytes > 64:
            start = data.index(tensor.data.tobytes())
            rest[start:start + tensor.data.nbytes] = False
    return np.flatnonzero(rest)


def survives(data):
    """Reads ``data``; returns whether it was accepted, and then runs too."""
    start = time.monotonic()
    try:
        graph = read_tflite(data)
    except ModelError as error:
        graph = None
        assert str(error)
    assert time.monotonic() - start < 2
    if graph is not None:
        inputs = [np.zeros(graph.tensors[index].shape, np.int8) for index in graph.inputs]
        for index, value in run_graph(graph, *inputs).items():
            assert value.shape == graph.tensors[index].shape and value.dtype == np.int8
    return graph is not None


def flipped(rng, regions, count):
    """The model with up to ``count`` bytes at ``regions`` flipped or replaced."""
    data = np.frombuffer(model_bytes(), np.uint8).copy()
    where = rng.choice(regions, rng.integers(1, count + 1))
    if rng.random() < 0.5:
        data[where] ^= 1 << rng.integers(0, 8, len(where)).astype(np.uint8)
    else:
        data[where] = rng.choice([0, 1, 2, 127, 128, 254, 255, rng.integers(256)], len(where))
    return data.tobytes()


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bytes(seed, regions):
    rng = np.random.default_rng(seed)
    accepted = sum(survives(flipped(rng, regions, 4)) for _ in range(1000))
    assert 100 < accepted < 900  # both ends were tried


def test_what_is_accepted_runs_as_on_the_reference(regions, tmp_path):
    """Damage that the reader takes for another network is that network to the reference too."""
    rng, x = np.random.default_rng(9), held_out().images[:1]
    models, results = [], []
    while len(models) < 150:
        data = flipped(rng, regions, 1)
        try:
            graph = read_tflite(data)
        except ModelError:
            continue
        if data != model_bytes() and graph.tensors[graph.inputs[0]].shape == x.shape:
            models.append(np.frombuffer(data, np.uint8))
            results.append(run_graph(graph, x)[graph.outputs[0]])
    np.savez(tmp_path / "models.npz", models=models, x=x, results=results)
    # On its own: the reference ends its process where it meets what it does not expect.
    run = subprocess.run([sys.executable, "-c", CHILD, tmp_path / "models.npz"],
                         capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    same, refused = map(int, run.stdout.split())
    assert same + refused == 150 and same > 130


CHILD = """
import sys
import numpy as np
from systolith.references.tflm import Reference, TflmError

with np.load(sys.argv[1]) as file:
    models, x, results = file["models"], file["x"], file["results"]
same = refused = 0
for number, (model, want) in enumerate(zip(models, results, strict=True)):
    try:
        got, = Reference(model.tobytes()).run(x)
    except TflmError:
        refused += 1
    else:
        np.testing.assert_array_equal(got, want, f"model {number}")
        same += 1
print(same, refused)
"""


@pytest.mark.parametrize("seed", range(2))
def test_moved_pieces(seed):
    """Pieces cut out, doubled, or put elsewhere."""
    rng = np.random.default_rng(seed)
    for _ in range(300):
        data = bytearray(model_bytes())
        start, other = sorted(rng.integers(8, len(data), 2).tolist())
        length = int(rng.integers(1, 65))
        piece = data[start:start + length]
        match rng.integers(3):
            case 0:
                del data[start:start + length]
            case 1:
                data[other:other] = piece
            case 2:
                data[other:other + length] = piece
        survives(bytes(data))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.binary(max_size=600))
def test_noise_after_the_identifier(noise):
    survives(model_bytes()[:8] + noise)
    survives(noise[:4] + b"TFL3" + noise[4:])


NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 16, 127, 128, 255, 256, 4096, 4097, 1 << 16,
                           (1 << 31) - 1, -1, -2, -128, -129, -(1 << 31)])
REALS = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0 ** -8, 1e-45, 1e-38, 1e-20, 1e10, 3.4e38,
                         float("inf"), float("-inf"), float("nan")])


def mutate(draw, value):
    """Another value of the same kind: of a number, an array, a list, or a field of a table."""
    match value:
        case bool():
            return not value
        case int() | np.integer():
            return draw(NUMBERS)
        case float() | np.floating():
            return draw(REALS)
        case np.ndarray() if value.size:
            value = value.copy()
            match draw(st.sampled_from(["number", "shorter", "longer"])):
                case "number":
                    place = draw(st.integers(0, value.size - 1))
                    number = np.float64(mutate(draw, value[place]))
                    value[place] = (number if value.dtype.kind == "f" else
                                    np.array(int(number)).astype(value.dtype))
                case "shorter":
                    value = value[:-1]
                case "longer":
                    value = np.append(value, value[-1:])
            return value
        case list() if value:
            value = list(value)
            place = draw(st.integers(0, len(value) - 1))
            match draw(st.sampled_from(["change"] * 6 + ["remove", "repeat", "swap"])):
                case "change":
                    value[place] = mutate(draw, value[place])
                case "remove":
                    del value[place]
                case "repeat":
                    value.insert(place, value[place])
                case "swap":
                    value[place], value[0] = value[0], value[place]
            return value
        case object(__dict__=fields) if fields:
            value = copy.copy(value)
            name = draw(st.sampled_from(sorted(fields)))
            setattr(value, name, mutate(draw, fields[name]))
            return value
    return value


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.data())
def test_mutated_fields(data):
    """Tables that are whole, with fields that are not."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model_bytes(), 0))
    graph, = model.subgraphs
    for _ in range(data.draw(st.integers(1, 2))):
        owner, name = data.draw(st.sampled_from([
            (model, "subgraphs"), (graph, "tensors"), (graph, "operators"),
            *((tensor, "quantization") for tensor in graph.tensors),
            *((operator, "builtinOptions") for operator in graph.operators)]))
        setattr(owner, name, mutate(data.draw, getattr(owner, name)))
    builder = flatbuffers.Builder(1 << 16)
    try:
        builder.Finish(model.Pack(builder), b"TFL3")
    except Exception:  # the writer of flatbuffers does not take any number everywhere
        reject()
    survives(bytes(builder.Output()))


@pytest.mark.parametrize("kind", MOVEMENTS)
def test_damaged_movements(kind):
    """Files of one operator, whose constants and options are most of them."""
    model, accepted = write_tflite(MOVEMENTS[kind](np.random.default_rng(3))), 0
    for seed in range(100):
        rng = np.random.default_rng([seed, *kind.encode()])
        data = np.frombuffer(model, np.uint8).copy()
        where = rng.choice(len(data), rng.integers(1, 5))
        data[where] = rng.choice([0, 1, 2, 127, 128, 254, 255, rng.integers(256)], len(where))
        accepted += survives(data.tobytes())
    assert 2 < accepted < 50
