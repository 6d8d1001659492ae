"""The commands together, and plain words for what goes wrong in them."""

import errno
import inspect
import os
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from systolith import __version__
from systolith.cli import (
    bench,
    board,
    build,
    check,
    devices,
    emit,
    evaluate,
    example,
    flash,
    gemm,
    prove,
    quantize,
    report,
    run,
    selftest,
)

if TYPE_CHECKING:
    from typer._click import Context, Parameter  # Typer has no public name for them

__all__ = ["app", "main"]

#: Packages whose own exceptions are worded for the user.
OURS = ("systolith", "boards", "sim", "rtl")


class Interrupted(Exception):
    """Ctrl-C: an exception of its own, as Typer keeps :exc:`KeyboardInterrupt` to itself and ends
    without a word."""


def _plain_flags(params: list["Parameter"]) -> list["Parameter"]:
    """``params``, with no type in the help beside options that take no value."""
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


class _Command(TyperCommand):
    def get_params(self, ctx: "Context") -> list["Parameter"]:
        return _plain_flags(super().get_params(ctx))


class _Commands(TyperGroup):
    def get_params(self, ctx: "Context") -> list["Parameter"]:
        return _plain_flags(super().get_params(ctx))

    def invoke(self, ctx: "Context") -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted") from error


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"systolith {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_Commands, name="systolith", no_args_is_help=True, pretty_exceptions_enable=False,
    help="An open convolution engine for small FPGAs: runs int8 networks on its RTL, bit for bit "
         "as TensorFlow Lite Micro does, and exports its cores as Verilog.")


@app.callback()
def _options(version: Annotated[bool, typer.Option(
        "--version", is_eager=True, callback=_print_version,
        help="Print the version and exit.")] = False) -> None:
    pass


for module in (run, example, check, quantize, evaluate, gemm, emit, report, build, prove, flash,
               devices, selftest, board, bench):
    command = getattr(module, module.__name__.rpartition(".")[2])
    # A line of the source is not one of the terminal.
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    app.command(cls=_Command, help="\n\n".join(each.replace("\n", " ") for each in paragraphs))(
        command)


def main() -> None:
    """Entry point of ``systolith``: errors become one plain message and a status of 1, or of 130
    after Ctrl-C, as shells have it.

    With ``SYSTOLITH_TRACEBACK`` in the environment they show where they arose instead.
    """
    for name in "stdout", "stderr":
        if getattr(sys, name) is None:  # closed, as by >&-: what is said goes nowhere
            setattr(sys, name, open(os.devnull, "w"))
    # A component that is refused by the one it was meant for is not worth a word.
    warnings.filterwarnings("ignore", message=".*created but never used")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, where it can still be said that there is no room
    except Exception as error:
        _drop_output()
        if os.environ.get("SYSTOLITH_TRACEBACK"):
            raise
        if not (isinstance(error, OSError) and error.errno == errno.EPIPE):  # nobody reads on
            print(f"systolith: {_in_words(error)}", file=sys.stderr)
        sys.exit(130 if isinstance(error, Interrupted) else 1)


def _drop_output() -> None:
    """Leave nothing that Python would fail to write, and complain of, at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w")


def _in_words(error: Exception) -> str:
    name = type(error).__name__
    text = str(error) or name
    if isinstance(error, OSError):
        file = error.filename2 or error.filename  # of two the second was to be made
        return f"{file}: {error.strerror}" if file else error.strerror or text
    if (type(error) in {ValueError, TypeError, RuntimeError}
            or type(error).__module__.partition(".")[0] in OURS):
        return text
    return (f"internal error ({name}: {text}); SYSTOLITH_TRACEBACK=1 shows where")
