"""Whole runs in a test: played in this process, and what they logged."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from flwr.app import Message

from fairfed.config import Config
from fairfed.engines.inprocess import run_in_process
from fairfed.experiment import count_clients
from fairfed.progress import Watcher
from fairfed.server import server_app


def play(config: Config, watcher: Watcher | None = None, **options: Any) -> list[Message]:
    """Run or continue an experiment; the clients' replies, unless `on_reply` takes them."""
    from fairfed.client import app

    seen: list[Message] = []
    options = {"on_reply": lambda done, total, reply: seen.append(reply), **options}
    run_in_process(server_app(config, watcher), app, count_clients(config), **options)
    return seen


def run_of(config: Config, **options: Any) -> Path:
    """Run or continue an experiment; its directory."""
    play(config, **options)
    return config.run_directory


DYING = """
import os, signal, sys
from fairfed.config import load_config
from fairfed.server import LogWatcher, run

class Dying(LogWatcher):
    def trained_round(self, arm, row):
        if row["round"] == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)

run(load_config(sys.argv[1]), Dying())
"""


def killed(config: Config, number: int, folder: Path) -> None:
    """Run in a process of its own, which is killed when a round is logged and not yet kept."""
    died = _elsewhere(config, folder, ["-c", DYING], str(number))
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert logged(config)[-1]["round"] == number


def run_elsewhere(config: Config, folder: Path) -> None:
    """Run in a process of its own: Ray leaves threads and files behind."""
    done = _elsewhere(config, folder, ["-m", "fairfed", "run"])
    assert done.returncode == 0, done.stderr


def _elsewhere(
    config: Config, folder: Path, what: list[str], *further: str
) -> subprocess.CompletedProcess[str]:
    path = folder / "elsewhere.toml"
    path.write_text(config.to_toml())
    command = [sys.executable, *what, str(path), *further]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def logged(run: Config | Path) -> list[dict[str, Any]]:
    """Logged rounds, without their timings, of a configuration or a directory."""
    folder = run.run_directory if isinstance(run, Config) else run
    text = (folder / "rounds.jsonl").read_text()
    return [untimed(json.loads(line)) for line in text.splitlines()]


def outcome_of(folder: Path) -> Any:
    """`results.json` of a run directory, without its timings."""
    return untimed(json.loads((folder / "results.json").read_text()))


def untimed(value: Any) -> Any:
    """JSON without its timings."""
    if isinstance(value, dict):
        return {k: untimed(v) for k, v in value.items() if k != "seconds"}
    return [untimed(v) for v in value] if isinstance(value, list) else value
