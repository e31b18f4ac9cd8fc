"""Golden run: tables."""

from __future__ import annotations

from collections.abc import Callable

from fairfed.config import Config
from tests.fairfed import golden
from tests.fairfed.runs import run_of


def test_tables(tabular: Callable[..., Config]) -> None:
    golden.check_golden("tables", run_of(tabular()))
