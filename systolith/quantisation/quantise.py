"""A float .onnx model made int8 by onnxruntime's own quantiser."""

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import onnx
from onnx import ModelProto

from rtl.validate import one_of
from systolith.graph.record import records
from systolith.quantisation.calibration import Examples
from systolith.quantisation.float_model import with_opset
from systolith.quantisation.rewrites import rewritten

__all__ = ["METHODS", "QuantisationError", "quantise"]

#: How ranges are chosen, and what onnxruntime calls that.
METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}

#: The most examples whose tensors are in memory at a time, where histograms are made of them.
AT_ONCE = 8

#: Severities of what onnxruntime logs, of which it says what is as severe or more; by default, of
#: warnings.
WARNING, FATAL = 2, 4


class QuantisationError(Exception):
    """onnxruntime is missing, or does not quantise a model."""


class _Reader:
    """What onnxruntime's calibration reads; ``step`` is told of each example."""

    def __init__(self, examples: Examples, step: Callable[[str], None]) -> None:
        self._examples, self._step = examples, step
        self._todo: Iterator[int] = iter(range(len(examples)))

    def __len__(self) -> int:
        return len(self._examples)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._todo = iter(range(start_index, end_index))

    def get_next(self) -> dict[str, object] | None:
        index = next(self._todo, None)
        if index is None:
            return None
        self._step(f"calibrating: example {index + 1} of {len(self)}")
        return self._examples[index]


def quantise(path: Path, model: ModelProto, examples: Examples, target: Path, *,
             method: str = "minmax", step: Callable[[str], None] = lambda _: None) -> None:
    """Write a float ``model``, which was read from ``path``, to the file ``target`` with int8
    weights and activations, whose ranges are those of the ``examples``. ``step`` is told what
    begins.

    Activations and weights are int8 (s8s8): that is what the accelerator has in memory, and of
    these onnxruntime has no kernels that saturate. So weights keep all of their 8 bits (no
    ``reduce_range``). They have a scale for each channel.

    The file is there as a whole, or not at all. Raises :exc:`QuantisationError`, or
    :exc:`~systolith.graph.ir.ModelError` for operators that are too old.
    """
    one_of("method", method, METHODS)
    try:
        from onnxruntime import quantization
    except ImportError as error:
        raise QuantisationError("onnxruntime is not installed: "
                                "pip install onnxruntime") from error
    model = with_opset(path, model)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".systolith-") as folder:
        plain, prepared, done = (Path(folder, name) for name in ("a.onnx", "b.onnx", "c.onnx"))
        onnx.save(model, plain)
        del model
        step("folding constants")
        with _quiet(path):
            quantization.quant_pre_process(plain, prepared, skip_symbolic_shape=True)
            onnx.save(rewritten(onnx.load(prepared)), prepared)
            quantization.quantize_static(
                prepared, done, _Reader(examples, step),
                quant_format=quantization.QuantFormat.QDQ, per_channel=True, reduce_range=False,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=quantization.CalibrationMethod[METHODS[method]],
                op_types_to_quantize=_kinds(), extra_options={
                    "WeightSymmetric": True, "ActivationSymmetric": False,
                    "CalibStridedMinMax": _stride(len(examples))})
        os.replace(done, target)


def _kinds() -> list[str]:
    """Operators to be quantised: all that onnxruntime's quantiser knows, and all others that there
    is a record of."""
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    ours = {name for record in records().values() for name in record.onnx}
    return sorted((ours | {*QDQRegistry, *QLinearOpsRegistry})
                  - {"QuantizeLinear", "DequantizeLinear", "ConvInteger", "MatMulInteger"})


def _stride(count: int) -> int:
    """Examples that are calibrated with at a time, a divisor of all of them."""
    return max(each for each in range(1, AT_ONCE + 1) if count % each == 0)


@contextlib.contextmanager
def _quiet(path: Path) -> Generator[None, None, None]:
    """What onnxruntime prints and logs is kept back, and what it raises is told of ``path``."""
    import onnxruntime

    logging.disable(logging.ERROR)
    onnxruntime.set_default_logger_severity(FATAL)
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            yield
    except (OSError, KeyboardInterrupt):
        raise
    except Exception as error:  # it has no common class of its own
        raise QuantisationError(f"{path}: onnxruntime does not quantise the model: "
                                f"{error}") from error
    finally:
        logging.disable(logging.NOTSET)
        onnxruntime.set_default_logger_severity(WARNING)
