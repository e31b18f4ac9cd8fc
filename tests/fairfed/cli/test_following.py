"""Following a study at a SuperLink: to its end, past losses, or to what ended it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from fairfed.cli import following
from fairfed.cli.following import follow
from fairfed.config import Config, parse_config
from fairfed.engines.flower_cli import RunStatus, SuperLinkError
from fairfed.errors import RunError
from fairfed.rounds.progress_file import PROGRESS
from fairfed.rounds.run_lock import run_lock
from fairfed.server import LogWatcher
from semantic.errors import InputError

ROUND = ["trained_round", "FedAvg", {"round": 1}]


class Watching(LogWatcher):
    """Keeps the rounds that it is told of."""

    def __init__(self) -> None:
        self.rounds: list[int] = []

    def trained_round(self, arm: Any, row: dict[str, Any]) -> None:
        self.rounds.append(row["round"])


class FakeLink:
    """A SuperLink that lets runs take their course: what each writes, and how it ends."""

    def __init__(self, folder: Path, courses: Iterable[tuple[list[list[Any]], str]]) -> None:
        self._folder, self._courses, self.started = folder, list(courses), 0
        self._state = "unknown"
        self.silent = 0

    def start(self, config: Path) -> int:
        assert config == self._folder / "config.toml"
        self.started += 1
        self.write(self.started, self._courses[self.started - 1][0])
        self._state = self._courses[self.started - 1][1]
        return self.started

    def write(self, run: int, events: list[list[Any]]) -> None:
        lines = [json.dumps(event) for event in (["began", run, 7], *events)]
        (self._folder / PROGRESS).write_text("\n".join(lines) + "\n")

    def status(self, run: int) -> RunStatus:
        if self.silent:
            self.silent -= 1
            raise SuperLinkError("--on hub: Flower could not list its runs: no answer")
        return RunStatus(self._state, "a reason")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "run").mkdir()
    return parse_config(f'out = "{tmp_path}/run"\n[federation]\nclasses = ["a", "b"]', "study.toml")


@pytest.fixture
def link(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Iterable[tuple[list[list[Any]], str]]], FakeLink]:
    """Makes the SuperLink that `follow` finds; nobody waits."""
    monkeypatch.setattr(following, "LOOK", 0.0)
    monkeypatch.setattr(following, "ASK", 0.0)
    monkeypatch.setattr(following, "ASK_AT_END", 0.0)

    def make(courses: Iterable[tuple[list[list[Any]], str]]) -> FakeLink:
        made = FakeLink(config.run_directory, courses)
        monkeypatch.setattr(following, "SuperLink", lambda on: made)
        return made

    return make


Links = Callable[[Iterable[tuple[list[list[Any]], str]]], FakeLink]


def test_a_run_is_told_of_and_ends(config: Config, link: Links) -> None:
    found, watcher = link([([ROUND, ["ended"]], "finished:completed")]), Watching()
    found.silent = 2
    follow(config, "hub", watcher)
    assert (found.started, watcher.rounds) == (1, [1])


def test_a_lost_run_is_started_again(config: Config, link: Links) -> None:
    found = link([([ROUND], "finished:failed"), ([], "unknown"), ([ROUND], "finished:completed")])
    watcher = Watching()
    follow(config, "hub", watcher)
    assert (found.started, watcher.rounds) == (3, [1, 1])


def test_a_run_that_is_lost_without_a_round_is_given_up(config: Config, link: Links) -> None:
    found = link([([], "finished:failed")] * 5)
    with pytest.raises(RunError, match=r"lost 3 times without a further round .*a reason"):
        follow(config, "hub", Watching())
    assert found.started == 3


@pytest.mark.parametrize(("code", "kind"), [(1, RunError), (2, InputError)])
def test_what_ended_the_server_ends_the_command(
    config: Config, link: Links, code: int, kind: type[Exception]
) -> None:
    link([([["failed", "no client gave a usable reply", code], ["ended"]], "finished:failed")])
    with pytest.raises(kind, match="no client gave a usable reply"):
        follow(config, "hub", Watching())


def test_a_run_that_was_stopped_says_so(config: Config, link: Links) -> None:
    link([([ROUND], "finished:stopped")])
    with pytest.raises(RunError, match="run 1 was stopped at the SuperLink"):
        follow(config, "hub", Watching())


def test_a_run_under_way_is_followed_and_not_started_twice(config: Config, link: Links) -> None:
    found, watcher = link([]), Watching()
    with run_lock(config):
        found.write(41, [ROUND])
        found._state = "finished:completed"
        follow(config, "hub", watcher)
    assert (found.started, watcher.rounds) == (0, [1])
