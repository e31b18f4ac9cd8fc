"""Small runs of adaptation, and what is sent in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flwr.app import Message

from fairfed.config import Arm, Config
from fairfed.server import LogWatcher
from tests.fairfed import runs


class InterruptedRunError(Exception):
    """Stands for a killed process."""


class StoppingWatcher(LogWatcher):
    """Fails after so many rounds."""

    def __init__(self, after: int) -> None:
        self._left = after

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        self._left -= 1
        if self._left == 0:
            raise InterruptedRunError


@pytest.fixture
def play() -> Callable[..., list[Message]]:
    def run(config: Config, stop: int | None = None, **options: Any) -> list[Message]:
        """Run an experiment, or end it after so many rounds; the replies of clients."""
        if stop is None:
            return runs.play(config, **options)
        with pytest.raises(InterruptedRunError):
            runs.play(config, StoppingWatcher(stop), **options)
        return []

    return run


@pytest.fixture
def logged() -> Callable[[Config], list[dict[str, Any]]]:
    return runs.logged
