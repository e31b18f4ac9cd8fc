"""Runs that are no comparison of `[[arms]]` over `fairfed.rounds`, but bring rounds of their own.

A section of the configuration asks for one. It runs on the same engines, in the same kind of run
directory, with the same watcher; a module with the functions below is all that it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from fairfed.config import Config
from semantic.errors import InputError

if TYPE_CHECKING:
    from flwr.serverapp import Grid

    from fairfed.progress import Watcher
    from fairfed.rundir import RunDirectory


HAS_ARMS = "arms: a run with [{section}] has no arms; leave [[arms]] out, or [{section}]"


class Task(Protocol):
    """What `fairfed run` asks of a run with rounds of its own."""

    def check(self, config: Config) -> None:
        """Find a user's mistakes before anything is written or trained."""

    def count_clients(self, config: Config) -> int:
        """Number of clients of a federation on this machine."""

    def run(self, grid: Grid, config: Config, watcher: Watcher) -> RunDirectory:
        """Run or continue; writes `results.json` and `results.md`."""


def refuse_arms(config: Config, section: str) -> None:
    """Refuse arms beside a section whose run has none.

    Raises
    ------
    semantic.errors.InputError
        If `[[arms]]` says anything.
    """
    if config.arms != Config().arms:
        raise InputError(HAS_ARMS.format(section=section))


def task_of(config: Config) -> Task | None:
    """The task that a section of the configuration asks for; None for a comparison of arms."""
    if config.zsl is not None:
        from fairfed.zsl import task

        found: Task = task
        return found
    if config.peers is not None:
        from fairfed.peers import task as peers

        return peers
    if config.specialise is not None:
        from fairfed.adapting import task as specialising

        return specialising
    if config.shared is not None:
        from fairfed.shared_space import task as shared

        return shared
    return None
