"""The command line: `fairfed demo | run | augment | audit | semantics | report | doctor`."""

from __future__ import annotations

from fairfed.cli.app import main

__all__ = ["main"]
