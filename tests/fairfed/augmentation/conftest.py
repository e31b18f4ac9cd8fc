"""An augmentation small enough to run in a test: a random pipeline over the small federation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.config import PipelineConfig
from fairfed.config.load import parse_model

Configured = Callable[..., PipelineConfig]


@pytest.fixture
def augment_toml(image_folder: Path, tiny_pipeline: Path, tmp_path: Path) -> str:
    """Configuration text: one class that no image shows, and every image accepted."""
    return f"""
store = "{tmp_path}/store"
[data]
source = "{image_folder}"
sensitive = ["sex"]
image_size = 16
[semantic]
attributes = "names"
allow_unknown = true
[generator]
model = "{tiny_pipeline}"
steps = 1
batch_size = 8
device = "cpu"
[synthesis]
classes = ["hat"]
per_class = 6
cell_target = 0
[curation]
checks = ["corrupt"]
"""


@pytest.fixture
def augmentation(augment_toml: str) -> Configured:
    """Configuration of the small augmentation with settings replaced."""
    return lambda *overrides: parse_model(PipelineConfig, augment_toml, "aug.toml", overrides)
