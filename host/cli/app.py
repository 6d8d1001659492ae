"""The commands together, and plain words for what goes wrong in them."""

import os
import sys
import warnings

import typer

from host.cli import bench, board, build, check, devices, emit, flash, gemm, report, run, selftest

__all__ = ["app", "main"]

app = typer.Typer(
    name="systolith", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False,
    help="An open convolution engine for small FPGAs: runs int8 networks on its RTL, bit for bit "
         "as TensorFlow Lite Micro does, and gives the cores as Verilog.")
for module in (run, check, gemm, emit, report, build, flash, devices, selftest, board, bench):
    app.command()(getattr(module, module.__name__.rpartition(".")[2]))


def main():
    """Entry point of ``systolith``: errors become one plain message and a status of 1.

    With ``SYSTOLITH_TRACEBACK`` in the environment they show where they arose instead.
    """
    for name in "stdout", "stderr":
        if getattr(sys, name) is None:  # closed, as by >&-: what is said goes nowhere
            setattr(sys, name, open(os.devnull, "w"))
    # A component that is refused by the one it was meant for is not worth a word.
    warnings.filterwarnings("ignore", message=".*created but never used")
    try:
        app()
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("SYSTOLITH_TRACEBACK"):
            raise
        print(f"systolith: {_in_words(error)}", file=sys.stderr)
        sys.exit(1)


def _in_words(error):
    match error:
        case KeyboardInterrupt():
            return "interrupted"
        case OSError() if error.filename:
            return f"{error.filename}: {error.strerror}"
    expected = ("Error", "ValueError", "TypeError", "ModelError", "CompileError", "ContractError",
                "LinkError", "NoAnswer", "BoardReset", "TimeoutError", "ToolError", "TimingError",
                "FlashError", "TflmError", "RuntimeError")
    name = type(error).__name__
    text = str(error) or name
    if name in expected:
        return text
    return (f"internal error ({name}: {text}); SYSTOLITH_TRACEBACK=1 shows where")
