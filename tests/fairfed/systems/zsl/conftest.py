"""A data set in xlsa17's format, and a configuration of federated zero-shot learning over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.config import Config, parse_config
from tests.fairfed import configurations
from tests.fairfed.systems.zsl.dataset import write


@pytest.fixture
def xlsa17(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes the two files, with variables replaced or (None) left out."""
    return lambda **changes: write(tmp_path / "xlsa17", **changes)


@pytest.fixture
def small_zsl(xlsa17: Callable[..., Path], tmp_path: Path) -> Callable[..., Config]:
    """Function that gives a configuration over the small data set, with settings replaced."""
    text = configurations.zsl(tmp_path, xlsa17())
    return lambda *overrides: parse_config(text, "zsl.toml", overrides)
