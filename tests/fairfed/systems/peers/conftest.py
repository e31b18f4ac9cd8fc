"""A small federation of peers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.config import Config, parse_config
from tests.fairfed import configurations

Peers = Callable[..., Config]


@pytest.fixture
def peers(image_folder: Path, tmp_path: Path) -> Peers:
    """Configuration of six peers with settings replaced."""
    text = configurations.peers(tmp_path, image_folder)
    return lambda *overrides: parse_config(text, "peers.toml", overrides)
