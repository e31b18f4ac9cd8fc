"""A study of sites with folders of their own (`hospitals` makes them)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fairfed.client import client_app
from fairfed.config import Config, parse_config
from fairfed.config.labels import LabelSpace
from fairfed.config.site import SiteConfig
from fairfed.engines.inprocess import run_in_process
from fairfed.server import server_app
from fairfed.sites.local import LocalSites
from fairfed.sites.study import study_of
from tests.fairfed.conftest import CLASSES, GROUPS

Hospitals = Callable[..., list[SiteConfig]]


def study(config: Config, out: Path) -> Config:
    """The small federation's configuration as a study of sites."""
    labels = LabelSpace(
        classes=CLASSES, sensitive={"sex": GROUPS}, image_size=16, found_groups=GROUPS
    )
    arms = tuple(arm for arm in config.arms if not arm.iid)
    chosen = config.model_copy(update={"federation": labels, "arms": arms, "out": str(out)})
    return parse_config(chosen.to_toml(), "study")


def play_here(config: Config, sites: list[SiteConfig]) -> None:
    """Run a study whose sites are all in this process."""
    server = server_app(study_of(config, None), report=False)
    run_in_process(server, client_app(LocalSites(sites)), len(sites))
