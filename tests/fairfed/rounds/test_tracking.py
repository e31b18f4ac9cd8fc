"""A run tells its rounds to trackers that are installed, and refuses those that are not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fairfed.config import Config
from fairfed.rounds.tracking import check_tracker, figures
from fairfed.server import checked
from semantic.errors import InputError
from tests.fairfed.runs import logged, play

Small = Callable[..., Config]
ARMS = 'arms=[{name="FedAvg"}, {name="Other one", proximal=0.1}]'


class Told:
    """Stands for the package of a tracker, and remembers what it was told."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, dict[str, float], int]] = []
        self.open: list[str] = []
        self.params: dict[str, Any] = {}

    def begin(self, name: str) -> str:
        self.open.append(name)
        return name

    def mlflow(self) -> ModuleType:
        found = _module("mlflow")
        found.set_experiment = lambda name: None
        found.search_runs = lambda **_: []
        found.start_run = lambda run_name: SimpleNamespace(
            info=SimpleNamespace(run_id=self.begin(run_name))
        )
        found.log_params = self.params.update
        found.log_metrics = lambda row, step, run_id: self.rows.append((run_id, row, step))
        found.end_run = lambda: self.open.pop()
        return found

    def wandb(self) -> ModuleType:
        found = _module("wandb")

        def init(**how: Any) -> SimpleNamespace:
            name = self.begin(how["name"])
            self.params |= how["config"]
            return SimpleNamespace(
                log=lambda row, step: self.rows.append((name, row, step)), finish=self.open.pop
            )

        found.init = init
        return found

    def tensorboard(self) -> ModuleType:
        told, found = self, _module("tensorboard")

        class Writer:
            def __init__(self, folder: str) -> None:
                self.name = told.begin(folder)

            def add_scalar(self, name: str, value: float, number: int) -> None:
                told.rows.append((self.name, {name: value}, number))

            def flush(self) -> None:
                """Nothing waits."""

            def close(self) -> None:
                told.open.pop()

        found.SummaryWriter = Writer
        return found


def _module(name: str) -> Any:
    found = ModuleType(name)
    found.__spec__ = ModuleSpec(name, None)
    return found


@pytest.mark.parametrize("kind", ["mlflow", "wandb", "tensorboard"])
def test_every_round_of_every_arm_is_told(
    small: Small, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    package = getattr(told, kind)()
    monkeypatch.setitem(sys.modules, kind, package)
    if kind == "tensorboard":
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", package)
    config = small(ARMS, f"track={kind}")
    check_tracker(config)
    play(config, workers=1)
    rows = logged(config)
    assert not told.open
    for number, row in enumerate(rows):
        wanted = figures(row)
        mine = told.rows[number:] if kind != "tensorboard" else told.rows[4 * number :]
        found = {k: v for _, one, _ in mine[: 4 if kind == "tensorboard" else 1]
                 for k, v in one.items()}  # fmt: skip
        assert found.pop("seconds") > 0
        assert found == wanted
        assert mine[0][2] == row["round"]
    assert len({name for name, _, _ in told.rows}) == 2
    if kind != "tensorboard":
        assert told.params["train.lr"] == config.train.lr


def test_a_device_that_is_not_here_is_refused_before_the_run(small: Small) -> None:
    with pytest.raises(InputError, match="device is 'cuda:7', and torch finds"):
        checked(small(ARMS, "device=cuda:7"))


def test_figures_are_of_all_test_rows() -> None:
    row = {
        "seconds": 2.0,
        "clients": [
            {"test_counts": [[[3, 1], [0, 0]]], "test_loss": 0.5},
            {"test_counts": [[[0, 0], [6, 0]]], "test_loss": 1.5},
            {"test_counts": [[[0, 0], [0, 0]]], "test_loss": None},
            {"test_counts": None, "error": "late"},
        ],
    }
    assert figures(row) == {
        "seconds": 2.0, "accuracy": 0.3, "worst_client_accuracy": 0.0, "test_loss": 1.0,
    }  # fmt: skip


def test_a_tracker_that_is_not_installed_is_refused(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="track = 'wandb' needs the package wandb: pip install"):
        check_tracker(small(ARMS, "track=wandb"))
