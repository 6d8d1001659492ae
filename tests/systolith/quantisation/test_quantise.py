"""Float networks, quantised, run here as they do in onnxruntime."""

import numpy as np
import onnx
import pytest

from systolith import Session
from systolith.quantisation.calibration import Pixels, read_examples
from systolith.quantisation.float_model import input_shapes, load_float
from systolith.quantisation.quantise import QuantisationError, quantise
from systolith.references.onnxruntime import OnnxReference
from systolith.zoo.digits import held_out
from tests.support.float_networks import float_network
from tests.support.paths import OWN

RNG = np.random.default_rng(1)


def quantised(folder, model, **options):
    """The path of what becomes of a float ``model``."""
    path, data, target = (folder / name for name in ("float.onnx", "x.npy", "int8.onnx"))
    onnx.save(model, path)
    np.save(data, RNG.random((10, 3, 16, 16), np.float32))
    source = load_float(path)
    quantise(path, source, read_examples(data, input_shapes(source), Pixels(), 10), target,
             **options)
    return target


@pytest.mark.parametrize("name, kinds", [
    ("plain", "CONV_2D MAX_POOL_2D CONV_2D MAX_POOL_2D FULLY_CONNECTED"),
    ("resnet", "CONV_2D CONV_2D CONV_2D CONV_2D ADD MEAN FULLY_CONNECTED"),
    ("mobilenet_v2", "CONV_2D CONV_2D DEPTHWISE_CONV_2D CONV_2D ADD MEAN FULLY_CONNECTED"),
], ids=["plain", "resnet", "mobilenet_v2"])
def test_networks(tmp_path, name, kinds):
    """Nothing of them is left to the host, and no byte differs from onnxruntime; nor do classes
    from those of the float network but where these are near one another."""
    path = quantised(tmp_path, float_network(name))
    session, reference = Session(path, target="golden"), OnnxReference(path)
    assert [operator.kind for operator in session.graph.operators] == kinds.split()
    weights = next(each for each in session.graph.tensors if each.data is not None)
    assert len(set(weights.scales)) == len(weights.data) and weights.data.min() == -127
    x = RNG.random((20, 3, 16, 16), np.float32)
    for run in session.results(session.inputs[0].quantise(x)):
        want = reference.layers(run.values[session.graph.inputs[0]])
        for index, value in want.items():
            np.testing.assert_array_equal(run.values[index], value)
    import onnxruntime

    real = onnxruntime.InferenceSession(tmp_path / "float.onnx").run(None, {"image": x})[0]
    error = np.abs(session.run(x, real=True) - real)
    assert error.max() < 0.08 * np.ptp(real)


def test_agreement_in_onnxruntime(tmp_path):
    """With operators that onnxruntime knows, whatever the accelerator has of them."""
    import onnxruntime

    path = quantised(tmp_path, float_network("mobilenet_v3"))
    x = RNG.random((1, 3, 16, 16), np.float32)
    y, real = (onnxruntime.InferenceSession(each).run(None, {"image": x})[0]
               for each in (path, tmp_path / "float.onnx"))
    assert 0 < np.abs(y - real).max() < 0.08 * np.ptp(real)


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_methods(tmp_path, method, capfd):
    path = quantised(tmp_path, float_network("plain"), method=method)
    assert len(Session(path, target="golden").graph.operators) == 5
    assert capfd.readouterr() == ("", "")


def test_old_operators_are_converted(tmp_path):
    """Of a version without scales for each channel, in a file of a version in which constants are
    inputs too."""
    model = float_network("plain", opset=11)
    model.ir_version = 3
    model.graph.input.extend(onnx.helper.make_tensor_value_info(
        each.name, each.data_type, each.dims) for each in model.graph.initializer)
    for node in model.graph.node:  # axes were an attribute then
        if node.op_type == "Unsqueeze":
            del node.input[1:]
            node.attribute.append(onnx.helper.make_attribute("axes", [0]))
    path = quantised(tmp_path, model)
    assert onnx.load(path).opset_import[0].version >= 13
    assert len(Session(path, target="golden").graph.operators) == 5


@pytest.mark.parametrize("name", ["torch_script", "torch_dynamo"])
def test_exporters(tmp_path, name):
    """What PyTorch exports, constants beside the model or within it, and the batch left open; those
    of the result are within it, and it recognises as many digits."""
    path, target = OWN / f"{name}.onnx", tmp_path / "int8.onnx"
    digits = held_out()
    x = digits.real.transpose(0, 3, 1, 2)
    np.save(tmp_path / "x.npy", x)
    source = load_float(path)
    quantise(path, source, read_examples(
        tmp_path / "x.npy", input_shapes(source), Pixels(), 50), target)
    (tmp_path / "x.npy").unlink()
    assert [each.name for each in tmp_path.iterdir()] == ["int8.onnx"]
    session = Session(target, target="golden")
    assert len(session.graph.operators) == 5
    assert [tensor.name for tensor in (*session.inputs, *session.outputs)] == ["image", "scores"]
    scores = session.run(x, real=True)
    assert (scores.argmax(1) == digits.labels).mean() > 0.95


def test_nothing_is_left_of_what_fails(tmp_path):
    model = float_network("plain")
    model.graph.node[0].input[1] = "nothing"
    with pytest.raises(QuantisationError, match="float.onnx: onnxruntime does not quantise"):
        quantised(tmp_path, model)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["float.onnx", "x.npy"]
