"""The server's machine, for strategies that see no data."""

from __future__ import annotations

from fairfed.config import Config
from fairfed.config.federation import agreed
from fairfed.config.labels import LabelSpace
from fairfed.sites.model_sources import sources_of
from fairfed.sites.workplace import Workplace

LABELS = LabelSpace(classes=("no", "yes"), sensitive={"sex": ("f", "m")}, found_groups=("f", "m"))


def place_of(config: Config) -> Workplace:
    """A workplace under a configuration, with two classes and two groups."""
    return Workplace(agreed(config, LABELS, None, {}), sources_of(config))
