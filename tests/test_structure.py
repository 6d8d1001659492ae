"""Imports run one way, and every name that a module promises exists."""

import ast
import functools
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Packages of the project that each may import.
ALLOWED = {"rtl": {"rtl"}, "sim": {"rtl", "sim"}, "boards": {"rtl", "boards"},
           "systolith": {"rtl", "sim", "boards", "systolith"}}
MODULES = [path for package in ALLOWED for path in sorted(ROOT.joinpath(package).rglob("*.py"))]


def imports(path):
    """Top-level packages that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relatively"
            names = [node.module]
        yield from (name.partition(".")[0] for name in names)


def named(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_run_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    found = set(imports(path))
    assert found & set(ALLOWED) <= ALLOWED[package]
    if package == "rtl":
        assert "numpy" not in found
    if "golden" in path.parts:
        assert found & set(ALLOWED) <= {"sim"}
        assert "amaranth" not in found


#: Modules that no test imports by a name of theirs, and the tests that hold them all the same.
HELD_BY = {
    "boards.presets": "tests/boards/test_presets.py",          # found by their folder
    "boards.gateware": "tests/boards/flow/test_bitstream.py",  # parts of each board's top level
    "rtl.mac": "tests/rtl/mac/test_products.py",               # by rtl.mac.KINDS
    "sim.golden": "tests/sim/golden",                          # by the records of operators
    "systolith.cli": "tests/systolith/cli",                    # as commands
    "systolith.compiler.lowering": "tests/systolith/compiler/test_compile.py",
    "systolith.compiler.passes": "tests/systolith/compiler/passes/test_passes.py",
    "systolith.frontends.onnx": "tests/systolith/frontends/onnx",
    "systolith.frontends.tflite": "tests/systolith/frontends/tflite",
    "systolith.operators": "tests/systolith/operators/test_records.py",
    "systolith.quantisation.rewrites": "tests/systolith/quantisation/rewrites",
    "systolith.zoo.random": "tests/sim/golden/test_graphs.py",
    # Parts of what the tests name.
    "boards.flow.netlist": "tests/boards/flow/test_bitstream.py",
    "rtl.build_folder": "tests/sim/test_compiled.py",
    "rtl.bus.streams": "tests/rtl/bus/test_bus.py",
    "rtl.cycle_counter": "tests/rtl/test_gemm.py",
    "rtl.export.layout": "tests/rtl/export/test_verilog.py",
    "rtl.link.engine": "tests/rtl/link/test_link.py",
    "rtl.memory.port": "tests/rtl/memory/test_memory_ports.py",
    "rtl.stream.pipeline": "tests/rtl/postprocess/test_requantizer.py",
    "systolith.compiler.cost.layer_cycles": "tests/systolith/compiler/cost/test_cycles.py",
    "systolith.compiler.memory.addresses": "tests/systolith/compiler/test_phases.py",
    "systolith.compiler.residual_fusion": "tests/systolith/compiler/test_residual_fusion.py",
    "systolith.compiler.tiling": "tests/systolith/compiler/test_compile.py",
    "systolith.frontends.source": "tests/systolith/frontends/test_model_file.py",
    "systolith.graph.text": "tests/systolith/graph/test_text.py",
    "systolith.references.litert": "tests/systolith/frontends/tflite/test_io_tensors.py",
}


@functools.cache
def imported_by_tests():
    """Modules that tests import, or that define what tests import."""
    found = set()
    for path in sorted(ROOT.joinpath("tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in ALLOWED:
                module = importlib.import_module(node.module)
                for alias in node.names:
                    member = getattr(module, alias.name, None)
                    found.update({node.module, f"{node.module}.{alias.name}",
                                  getattr(member, "__module__", node.module)})
    return found


def has_logic(path):
    return any(isinstance(node, (ast.FunctionDef, ast.ClassDef))
               for node in ast.parse(path.read_text()).body)


@pytest.mark.parametrize("path", list(filter(has_logic, MODULES)), ids=named)
def test_every_module_is_named_by_a_test(path):
    module = named(path)
    if module in imported_by_tests():
        return
    held = [tests for group, tests in HELD_BY.items() if f"{module}.".startswith(f"{group}.")]
    assert held and ROOT.joinpath(held[0]).exists(), f"no test names {module}"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_promised_names_exist(path):
    if path.name == "__main__.py":
        return
    module = importlib.import_module(named(path))
    for name in getattr(module, "__all__", ()):
        assert hasattr(module, name), name
