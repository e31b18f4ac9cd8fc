"""The Flower ServerApp: an experiment over whatever grid the engine gives."""

from __future__ import annotations

import logging
from typing import Any

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fairfed.config import Arm, Config, load_config
from fairfed.experiment import Watcher, run_experiment
from fairfed.gallery import write_gallery
from fairfed.tasks import task_of

logger = logging.getLogger("fairfed")


class LogWatcher:
    """Writes an experiment's progress to the log."""

    def described(self, federation: dict[str, Any]) -> None:
        """Log what the clients hold."""
        clients = next(iter(federation["splits"].values()))["train"]
        logger.info("%d clients described", len(clients))

    def synthesising(self, images: int) -> None:
        """Log that synthesis begins."""
        logger.info("synthesising about %d images", images)

    def synthesised(self, synthetic: dict[str, Any]) -> None:
        """Log what was synthesised."""
        logger.info("%d images made, %d reused", synthetic["generated"], synthetic["reused"])

    def training(self, arm: Arm, first: int, rounds: int) -> None:
        """Log that an arm begins."""
        logger.info("%s: rounds %d to %d", arm.name, first, rounds)

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        """Log a round."""
        logger.info("%s: round %d done", arm.name, row["round"])


def server_app(config: Config | None = None, watcher: Watcher | None = None) -> ServerApp:
    """ServerApp of an experiment.

    Parameters
    ----------
    config
        The experiment; None to take it from the run configuration's `config` (path of a TOML file,
        empty for the defaults) and `overrides` (`"rounds=3 train.lr=0.1"`), as `flwr run` does.
    watcher
        Is told about the progress; None to log it.
    """
    made = ServerApp()

    @made.main()
    def main(grid: Grid, context: Context) -> None:
        from evaluation.report import write_report

        chosen = config or _configured(context)
        run = run_experiment(grid, chosen, watcher or LogWatcher())
        if task_of(chosen) is not None:
            return
        write_gallery(run)
        logger.info("report: %s", write_report(run.path))

    return made


def _configured(context: Context) -> Config:
    path = str(context.run_config.get("config", ""))
    overrides = str(context.run_config.get("overrides", "")).split()
    return load_config(path or None, overrides)


app = server_app()
