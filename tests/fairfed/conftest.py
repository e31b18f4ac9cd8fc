"""A small federation on disk, and a configuration over it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairfed.config import Config, parse_config

CLASSES, CLIENTS, GROUPS = ("bag", "dress", "coat"), ("a", "b", "c"), ("f", "m")
HELD = {"a": ("bag", "dress"), "b": ("dress", "coat"), "c": ("coat", "bag")}


def _rows() -> list[tuple[str, str, str, str]]:
    """Label, sex, client and split of every image."""
    return [
        (label, GROUPS[i % 2], client, "test" if i % 4 == 3 else "train")
        for client in CLIENTS
        for label in HELD[client]
        for i in range(16)
    ]


def _picture(label: str, rng: np.random.Generator) -> np.ndarray:
    image = rng.integers(0, 60, (16, 16, 3), dtype=np.uint8)
    band = slice(4 * CLASSES.index(label), 4 * CLASSES.index(label) + 6)
    image[band] += 150
    return image


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety-six images of three classes at three clients, each lacking one class."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    with (folder / "metadata.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file_name", "label", "sex", "site", "split"])
        for i, (label, sex, client, split) in enumerate(_rows()):
            Image.fromarray(_picture(label, rng)).save(folder / f"{i}.png")
            writer.writerow([f"{i}.png", label, sex, client, split])
    return folder


@pytest.fixture
def small_toml(image_folder: Path, tiny_pipeline: Path, tmp_path: Path) -> str:
    """Configuration text of a run over the small federation: every arm, two rounds."""
    return f"""
name = "small"
rounds = 2
workers = 2
out = "{tmp_path}/run"
[data]
source = "{image_folder}"
sensitive = ["sex"]
client = "site"
image_size = 16
[partition]
name = "column"
[train]
batch_size = 8
[semantic]
attributes = "names"
allow_unknown = true
[generator]
model = "{tiny_pipeline}"
steps = 1
batch_size = 8
device = "cpu"
[augment]
per_class = 8
cell_target = 0
pool = 4
domain_matching_present = 4
autoencode = 0.0
margin = -100
store = "{tmp_path}/store"
[[arms]]
name = "FedAvg"
[[arms]]
name = "Both"
rule = "fairfed"
augment = true
[[arms]]
name = "IID"
iid = true
reference = true
"""


@pytest.fixture
def small(small_toml: str) -> Callable[..., Config]:
    """Configuration of the small federation with settings replaced."""
    return lambda *overrides: parse_config(small_toml, "small.toml", overrides)
