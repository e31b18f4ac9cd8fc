"""Configurations of a shared space over a small image folder."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairfed.config import Config, parse_config

CLASSES, GROUPS = ("bag", "boot", "coat", "dress"), ("f", "m")
PER_CLASS = 24
TABLE = """class,prompt,handle,laces,long,sleeves
bag,bag,1,0,0,0
boot,boot,0,1,0,0
coat,coat,0,0,0.6,1
dress,dress,0,0,1,0
"""


@pytest.fixture(scope="session")
def four_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four images of each of four classes, six of them for testing, and a table."""
    folder = tmp_path_factory.mktemp("four")
    rng = np.random.default_rng(0)
    with (folder / "metadata.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file_name", "label", "sex", "split"])
        for i in range(PER_CLASS * len(CLASSES)):
            label = i % len(CLASSES)
            image = rng.integers(0, 60, (16, 16, 3), dtype=np.uint8)
            image[3 * label : 3 * label + 6] += 150
            Image.fromarray(image).save(folder / f"{i}.png")
            group = GROUPS[i // len(CLASSES) % 2]
            split = "test" if i // len(CLASSES) % 4 == 3 else "train"
            writer.writerow([f"{i}.png", CLASSES[label], group, split])
    (folder / "table.csv").write_text(TABLE)
    return folder


@pytest.fixture
def small_shared(four_classes: Path, tiny_pipeline: Path, tmp_path: Path) -> Callable[..., Config]:
    """Function that gives a run of four clients, one with captions of boots and coats alone."""
    text = f"""
name = "shared"
rounds = 3
workers = 1
out = "{tmp_path}/run"
[data]
source = "{four_classes}"
sensitive = ["sex"]
image_size = 16
[train]
batch_size = 8
[semantic]
attributes = "{four_classes}/table.csv"
[generator]
model = "{tiny_pipeline}"
steps = 1
batch_size = 2
device = "cpu"
[curation]
margin = -100

[synthesis]
store = "{tmp_path}/store"
[shared]
image_clients = 2
both_clients = 1
text_clients = 1
classes_per_client = 2
missing = ["boot", "coat"]
hidden = 4
"""
    return lambda *overrides: parse_config(text, "shared.toml", overrides)


@pytest.fixture
def small_arrival(small_shared: Callable[..., Config]) -> Callable[..., Config]:
    """Function that gives a run of three clients in which coats arrive in round 2."""
    own = (
        "shared.missing=[]",
        "shared.text_clients=0",
        "arrival={class_name='coat', round=2, images=2}",
    )
    return lambda *overrides: small_shared(*own, *overrides)


@pytest.fixture
def seeded_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the operating system's noise on released sums, so that two runs can be compared."""
    from semantic.prototypes import PrototypeSums

    release = PrototypeSums.release
    monkeypatch.setattr(
        PrototypeSums,
        "release",
        lambda self, epsilon, delta, minimum: release(
            self, epsilon, delta, minimum, np.random.default_rng(0)
        ),
    )
