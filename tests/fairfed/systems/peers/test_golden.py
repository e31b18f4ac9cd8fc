"""Golden run: peers."""

from __future__ import annotations

from collections.abc import Callable

from fairfed.config import Config
from tests.fairfed import golden
from tests.fairfed.runs import run_of


def test_peers(peers: Callable[..., Config]) -> None:
    golden.check_golden("peers", run_of(peers()))
