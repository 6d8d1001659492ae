"""Imports run one way, and every name that a module promises exists."""

import ast
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


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_promised_names_exist(path):
    if path.name == "__main__.py":
        return
    module = importlib.import_module(named(path))
    for name in getattr(module, "__all__", ()):
        assert hasattr(module, name), name
