"""Small runs of adaptation, and what is sent in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flwr.app import Message

from fairfed.config import Config
from fairfed.engines.inprocess import run_in_process
from fairfed.experiment import count_clients
from fairfed.server import server_app


class InterruptedRunError(Exception):
    """Stands for a killed process."""


class StoppingWatcher:
    """Does nothing, and fails after so many rounds."""

    def __init__(self, after: int) -> None:
        self._left = after

    def described(self, federation: dict[str, Any]) -> None: ...

    def synthesising(self, images: int) -> None: ...

    def synthesised(self, synthetic: dict[str, Any]) -> None: ...

    def training(self, arm: Any, first: int, rounds: int) -> None: ...

    def trained_round(self, arm: Any, row: dict[str, Any]) -> None:
        self._left -= 1
        if self._left == 0:
            raise InterruptedRunError


def run(config: Config, stop: int | None = None, **options: Any) -> list[Message]:
    """Run an experiment in process; the replies of clients."""
    from fairfed.client import app

    seen: list[Message] = []
    watcher = StoppingWatcher(-1 if stop is None else stop)
    options = {"on_reply": lambda done, total, reply: seen.append(reply), **options}
    if stop is None:
        run_in_process(server_app(config, watcher), app, count_clients(config), **options)
    else:
        with pytest.raises(InterruptedRunError):
            run_in_process(server_app(config, watcher), app, count_clients(config), **options)
    return seen


def rows(config: Config) -> list[dict[str, Any]]:
    """Logged rounds without their timings."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k != "seconds"}
        return [strip(v) for v in value] if isinstance(value, list) else value

    text = (config.run_directory / "rounds.jsonl").read_text()
    return [strip(json.loads(line)) for line in text.splitlines()]


@pytest.fixture
def play() -> Callable[..., list[Message]]:
    return run


@pytest.fixture
def logged() -> Callable[[Config], list[dict[str, Any]]]:
    return rows
