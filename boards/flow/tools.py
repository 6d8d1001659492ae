"""Yosys, nextpnr and the packers as processes; what they gave is kept."""

import hashlib
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Say", "Tool", "ToolError", "cached", "digest", "nextpnr", "packer", "tool_versions",
           "yosys"]

#: Takes lines, or words on how far something is.
Say = Callable[[str], None]

T = TypeVar("T", bound="DataclassInstance")

YOSYS = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.argv[1:]:
    libyosys.run_pass(command, design)
"""
#: A tool inside the wheel of nextpnr.
WHEEL = """
import sys
import yowasp_nextpnr_{family} as tools
sys.exit(tools.run_{tool}(sys.argv[1:]))
"""
#: Lines of a tool that failed, to be shown.
LINES = 10


class ToolError(RuntimeError):
    """Synthesis, or place and route, failed; the message holds the tool's own words."""


class Tool:
    """A program, by what it is called in messages, its version, and the command that runs it."""

    def __init__(self, name: str, version: str, *command: str) -> None:
        self.name, self.version, self.command = name, version, command

    def run(self, arguments: Iterable[str], folder: Path, timeout: float,
            say: Say = lambda line: None) -> None:
        """Run it in ``folder``; ``say`` gets every line as it comes.

        Raises :exc:`ToolError` if the tool fails or is not done in ``timeout`` seconds.
        """
        # A process of its own: the tools write to the standard output and exit on an error.
        process = subprocess.Popen([*self.command, *arguments], cwd=folder, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, errors="replace")
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout, give_up)
        timer.start()
        last: deque[str] = deque(maxlen=LINES)
        errors: deque[str] = deque(maxlen=LINES)
        assert process.stdout is not None  # it is a pipe
        try:
            for line in process.stdout:
                line = line.rstrip()
                last.append(line)
                if line.startswith("ERROR"):
                    errors.append(line)
                say(line)
            process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.stdout.close()
            process.wait()
        if late.is_set():
            raise ToolError(f"{self.name} was not done after {timeout} s")
        if process.returncode:
            raise ToolError(f"{self.name} failed:\n" + "\n".join(errors or last))


def yosys() -> Tool:
    """Yosys, whose arguments are commands."""
    return Tool("Yosys", _version("pyosys"), sys.executable, "-c", YOSYS)


def nextpnr(family: str) -> Tool:
    """nextpnr of a family: that of the wheel, unless the search path has a newer one."""
    wheel = _version(f"yowasp-nextpnr-{family}")
    native = shutil.which(f"nextpnr-{family}")
    if native and (found := _native_version(native)) > _numbers(wheel):
        return Tool("nextpnr", f"{'.'.join(map(str, found))} of {native}", native)
    return Tool("nextpnr", wheel, *_of_wheel(family, f"nextpnr_{family}"))


def packer(family: str, name: str) -> Tool:
    """``ecppack`` or ``icepack``, of the wheel of nextpnr."""
    return Tool(name, _version(f"yowasp-nextpnr-{family}"), *_of_wheel(family, name))


def tool_versions(family: str) -> dict[str, str]:
    """Version of each tool behind a result: name -> version."""
    return {"amaranth": _version("amaranth"), "pyosys": yosys().version,
            f"nextpnr-{family}": nextpnr(family).version}


def cached(path: Path, kind: type[T], run: Callable[[Path], T]) -> T:
    """The ``kind`` stored at ``path``, which ``run`` computes the first time, in a scratch folder;
    again if it cannot be read, or if one of its ``files``, if it has any, is gone."""
    if (kept := _kept(path, kind)) is not None:
        return kept
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        result = Path(scratch, "result.json")
        result.write_text(json.dumps(asdict(run(Path(scratch)))))
        result.replace(path)  # at once, so that another process finds all of it or nothing
    return kind(**json.loads(path.read_text()))


def _kept(path: Path, kind: type[T]) -> T | None:
    """What is stored at ``path``; None if that is nothing, or cut short."""
    try:
        kept = kind(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return kept if all(Path(file).exists() for file in getattr(kept, "files", ())) else None


def digest(*values: object) -> str:
    """A name for what follows from ``values``, which JSON can hold."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:20]


def _of_wheel(family: str, tool: str) -> tuple[str, str, str]:
    return sys.executable, "-c", WHEEL.format(family=family, tool=tool)


def _version(package: str) -> str:
    return importlib.metadata.version(package)


def _numbers(version: str) -> tuple[int, ...]:
    """Numbers of a version, without those that only the wheel has."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _native_version(command: str) -> tuple[int, ...]:
    """Numbers of the version that a nextpnr tells, or none if it does not."""
    try:
        done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"nextpnr-(\d+\.\d+)", done.stdout + done.stderr)
    return _numbers(found[1]) if found else ()
