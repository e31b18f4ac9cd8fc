"""A small synthetic table, and a configuration over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fairfed.config import Config, parse_config
from fairfed.data.tables.table import FeatureTable, load_table
from tests.fairfed import configurations
from tests.fairfed.data.tables.loans import loans


@pytest.fixture(scope="session")
def people() -> pd.DataFrame:
    """The table, all texts."""
    return loans()


@pytest.fixture(scope="session")
def people_csv(people: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table as a file."""
    path = tmp_path_factory.mktemp("table") / "people.csv"
    people.to_csv(path, index=False)
    return path


@pytest.fixture
def tabular(people_csv: Path, tmp_path: Path) -> Callable[..., Config]:
    """Configuration of a run over the table, with settings replaced."""
    text = configurations.table(tmp_path, people_csv)
    return lambda *overrides: parse_config(text, "people.toml", overrides)


@pytest.fixture
def load(tabular: Callable[..., Config]) -> Callable[..., FeatureTable]:
    """Function that loads the table, with settings replaced."""
    return lambda *overrides: load_table(tabular(*overrides))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Any]:
    """Function that writes a CSV file and gives its path."""

    def made(text: str, name: str = "own.csv") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return made
