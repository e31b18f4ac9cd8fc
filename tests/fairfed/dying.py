"""A run that kills its own process."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Any

from fairfed.config import Arm, load_config
from fairfed.config.site import SiteConfig
from fairfed.server import LogWatcher, run


class Dying(LogWatcher):
    """Kills the process when a round is logged and not yet kept."""

    def __init__(self, number: int) -> None:
        self._number = number

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        if row["round"] == self._number:
            os.kill(os.getpid(), signal.SIGKILL)


def run_and_die(
    path: str, number: int, environment: dict[str, str], sites: Sequence[SiteConfig] = ()
) -> None:
    """Run a configuration file up to a round."""
    os.environ.update(environment)
    run(load_config(path), Dying(number), sites=sites)
