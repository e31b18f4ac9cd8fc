"""Golden run: federated zero-shot learning."""

from __future__ import annotations

from collections.abc import Callable

from fairfed.config import Config
from tests.fairfed import golden
from tests.fairfed.runs import run_of


def test_zsl(small_zsl: Callable[..., Config]) -> None:
    golden.check_golden("zsl", run_of(small_zsl()))
