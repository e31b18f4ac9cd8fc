"""A run's rounds where people look: TensorBoard, MLflow, Weights & Biases.

None is needed, installed or asked by default. What they get is of the federation: of every round of
every arm the accuracy over all test rows, the worst client's, the mean loss and the seconds. A run
that is continued goes on in the same place.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import Arm, Config
    from fairfed.rounds.progress import Watcher

Log = Callable[[dict[str, float], int], None]
"""Takes the figures of a round, and its number."""
MISSING = "track = {kind!r} needs the package {kind}: pip install {kind}; or leave track out"


def check_tracker(config: Config) -> None:
    """Raise `InputError` if the package of `track` is not installed."""
    if config.track is not None and importlib.util.find_spec(config.track) is None:
        raise InputError(MISSING.format(kind=config.track))


def figures(row: Mapping[str, Any]) -> dict[str, float]:
    """What is told of a round, from its row of `rounds.jsonl`."""
    found = {"seconds": float(row["seconds"])} if "seconds" in row else {}
    clients = [one for one in row.get("clients", ()) if one.get("test_counts")]
    counts = np.array([one["test_counts"] for one in clients], np.int64)
    if counts.size:
        right, all_rows = counts.trace(axis1=2, axis2=3).sum(1), counts.sum((1, 2, 3))
        measured = all_rows > 0
        found["accuracy"] = float(right.sum() / max(1, all_rows.sum()))
        if measured.any():
            found["worst_client_accuracy"] = float(
                (right / np.maximum(all_rows, 1))[measured].min()
            )
        losses = [one["test_loss"] for one in clients if one.get("test_loss") is not None]
        found["test_loss"] = float(np.mean(losses)) if losses else float("nan")
    return {name: value for name, value in found.items() if np.isfinite(value)}


@contextmanager
def tracked(config: Config, watcher: Watcher) -> Iterator[Watcher]:
    """The watcher, or one that tells a tracker as well, where the configuration names one."""
    if config.track is None:
        yield watcher
        return
    both = Tracked(watcher, config)
    try:
        yield both
    finally:
        both.close()


class Tracked:
    """A watcher that tells another one everything, and a tracker the rounds."""

    def __init__(self, watcher: Watcher, config: Config) -> None:
        self._watcher, self._config = watcher, config
        self._arm: Arm | None = None  # whose rounds are told; arms come one after the other
        self._end: Callable[[], object] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watcher, name)

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        """Tell both."""
        self._watcher.trained_round(arm, row)
        if arm != self._arm:
            self.close()
            self._arm = arm
            self._log, self._end = _OPEN[str(self._config.track)](self._config, arm)
        self._log(figures(row), int(row["round"]))

    def close(self) -> None:
        """End what is open."""
        end, self._end = self._end, lambda: None
        end()


def _tensorboard(config: Config, arm: Arm) -> tuple[Log, Callable[[], object]]:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(config.run_directory / "tensorboard" / arm.slug))

    def log(found: dict[str, float], number: int) -> None:
        for name, value in found.items():
            writer.add_scalar(name, value, number)
        writer.flush()

    return log, writer.close


def _mlflow(config: Config, arm: Arm) -> tuple[Log, Callable[[], object]]:
    mlflow: Any = importlib.import_module("mlflow")
    mlflow.set_experiment(config.name)
    name = f"{config.name} {config.seed} {arm.name}"
    former = mlflow.search_runs(
        search_all_experiments=False, output_format="list",
        filter_string=f"attributes.run_name = '{name}'",
    )  # fmt: skip
    run = mlflow.start_run(run_id=former[0].info.run_id) if former else mlflow.start_run(
        run_name=name
    )  # fmt: skip
    if not former:
        mlflow.log_params({"arm": arm.name, "method": arm.method, **_settings(config)})
    told = run.info.run_id
    return lambda found, number: mlflow.log_metrics(found, step=number, run_id=told), mlflow.end_run


def _wandb(config: Config, arm: Arm) -> tuple[Log, Callable[[], object]]:
    wandb: Any = importlib.import_module("wandb")
    run = wandb.init(
        project="fairfed", group=f"{config.name} {config.seed}", name=arm.name,
        id=f"{config.name}-{config.seed}-{arm.slug}", resume="allow",
        config={"arm": arm.name, "method": arm.method, **_settings(config)},
    )  # fmt: skip
    return lambda found, number: run.log(found, step=number), run.finish


def _settings(config: Config) -> dict[str, Any]:
    train = {f"train.{name}": value for name, value in config.train.model_dump().items()}
    return {"seed": config.seed, "rounds": config.rounds, "model": config.model, **train}


_OPEN = {"tensorboard": _tensorboard, "mlflow": _mlflow, "wandb": _wandb}
