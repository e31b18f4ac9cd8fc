"""Features of generated images in the place of a federated generator's."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairfed.config import Config, parse_config
from fairfed.rounds import checkpoint
from fairfed.server import checked, start
from fairfed.sites.simulated import simulated
from fairfed.system import simulation_of
from fairfed.systems.zsl.images import synthesiser
from fairfed.systems.zsl.sites import ZslSites
from tests.fairfed.runs import place_of

CLASSES = ("bag", "boot", "coat", "dress", "shirt")
ATTRIBUTES = """class,prompt,footwear,long,buttons,handle
bag,bag,0,0,1,1
boot,boot,1,1,0,0
coat,coat,0,1,1,0
dress,dress,0,1,0,0
shirt,shirt,0,0,1,0
"""


@pytest.fixture
def small_images(tmp_path: Path, tiny_pipeline: Path) -> Callable[..., Config]:
    """Configuration over forty images of five classes and two groups."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    with (folder / "metadata.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["file_name", "label", "tint", "split"])
        for i in range(40):
            Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(folder / f"{i}.png")
            part = "test" if i % 8 > 5 else "train"
            writer.writerow([f"{i}.png", CLASSES[i // 8], ("red", "blue")[i % 2], part])
    (tmp_path / "attributes.csv").write_text(ATTRIBUTES)
    text = f"""
name = "zsl"
out = "{tmp_path}/run"
[data]
source = "{folder}"
sensitive = ["tint"]
image_size = 16
[partition]
clients = 2
[semantic]
attributes = "{tmp_path}/attributes.csv"
[generator]
model = "{tiny_pipeline}"
steps = 1
batch_size = 2
device = "cpu"
[curation]
margin = -100

[synthesis]
store = "{tmp_path}/store"
[zsl]
variants = ["images"]
unseen = ["boot", "dress"]
validation = ["shirt"]
images_per_class = 4
"""
    return lambda *overrides: parse_config(text, "zsl.toml", overrides)


def _simulation(config: Config) -> ZslSites:
    return simulated(simulation_of(config), ZslSites, "a test")


def test_images_of_every_class_are_made_once_and_judged(
    small_images: Callable[..., Config],
) -> None:
    config = small_images()
    study = checked(config)
    for _ in range(2):  # the second time from the checkpoint
        start(study)
    folder = config.run_directory
    (row,) = map(json.loads, (folder / "rounds.jsonl").read_text().splitlines())
    assert row["images"] == {"generated": 20, "reused": 0, "used": 20}
    (variant,) = json.loads((folder / "results.json").read_text())["variants"]
    assert (variant["variant"], variant["validation"]) == ("images", row["validation"])
    saved = checkpoint.load(folder / "checkpoints" / "generated-images.npz").arrays
    assert np.bincount(saved["labels"]).tolist() == [4] * 5
    assert saved["features"].shape[1] == _simulation(config).features.features.shape[1]


def test_held_out_classes_are_described_and_not_named(
    small_images: Callable[..., Config],
) -> None:
    for conditioning, named in (("attributes", False), ("name", True)):
        config = small_images(f"zsl.conditioning={conditioning}")
        maker = synthesiser(place_of(config), _simulation(config).split)
        for label in (1, 3, 4):
            assert (CLASSES[label] in maker.request(label, 0, 0).prompt) == named
        assert "coat" in maker.request(2, 0, 0).prompt


def test_the_scale_of_embeddings_follows_from_their_dimension(
    small_images: Callable[..., Config],
) -> None:
    simulation = _simulation(small_images())
    scaled = simulation.features.features * simulation.scale
    assert float((scaled**2).mean()) == pytest.approx(1.0, abs=1e-5)
