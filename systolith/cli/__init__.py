"""The command line: one module for each command."""

from systolith.cli.app import app, main

__all__ = ["app", "main"]
