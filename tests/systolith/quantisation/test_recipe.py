"""The recipe for Keras and TensorFlow."""

import re

import numpy as np
import pytest

from systolith import Session
from systolith.references.tflm import run_tflm
from systolith.zoo.digits import held_out
from tests.support.paths import OWN, ROOT

RECIPE = re.search(r"^```python\n(import numpy.*?)^```$",
                   (ROOT / "docs" / "quantise.md").read_text(), re.MULTILINE | re.DOTALL)[1]


def network(tf):
    layers = tf.keras.layers
    return tf.keras.Sequential([
        tf.keras.Input((8, 8, 1)), layers.Conv2D(8, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(), layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.25),
        layers.Dense(10, activation="softmax")])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("saved", [False, True], ids=["keras", "saved model"])
def test_recipe(tmp_path, monkeypatch, saved):
    """As it stands on the page."""
    tf = pytest.importorskip("tensorflow")
    monkeypatch.chdir(tmp_path)
    model, recipe = network(tf), RECIPE
    model.save("model.keras")
    if saved:
        model.export("folder", verbose=False)
        recipe = recipe.replace("from_keras_model(model)", 'from_saved_model("folder")')
    np.savez("x.npz", x=held_out().real[:20])
    exec(compile(recipe, "quantise.md", "exec"), {})
    y, = run_tflm("model.tflite", held_out().images[:1])
    assert y.dtype == np.int8 and y.astype(int).sum() == pytest.approx(-10 * 128 + 256, abs=10)


def test_what_came_of_it():
    """The network of the recipe, trained, byte for byte, on the digits that it never saw."""
    path, digits = OWN / "keras_cnn.tflite", held_out()
    session = Session(path, target="golden")
    scores = session.run(digits.real[:100], real=True)
    assert (scores.argmax(axis=1) == digits.labels[:100]).mean() >= 0.95
    x = session.inputs[0].quantise(digits.real[:3])
    np.testing.assert_array_equal(session.run(x), np.concatenate([
        run_tflm(path, one[None])[0] for one in x]))
