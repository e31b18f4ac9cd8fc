"""A small federation on disk, and a configuration over it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairfed.config import Config, parse_config
from fairfed.config.site import SiteConfig, load_site
from tests.fairfed import configurations
from tests.fairfed.runs import run_of

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


ATTRIBUTES = """class,prompt,has a handle,worn on the body,open front
bag,bag,1,0,0
dress,dress,0,1,0
coat,coat,0,1,1
"""


@pytest.fixture
def described(tmp_path: Path) -> str:
    """A setting: the small federation's classes with attributes."""
    path = tmp_path / "attributes.csv"
    path.write_text(ATTRIBUTES)
    return f"semantic.attributes={path}"


@pytest.fixture
def small_toml(image_folder: Path, tiny_pipeline: Path, tmp_path: Path) -> str:
    """Configuration text of a run over the small federation: every arm, two rounds."""
    return configurations.small(tmp_path, image_folder, tiny_pipeline)


@pytest.fixture(scope="session")
def finished_small(
    image_folder: Path, tiny_pipeline: Path, tmp_path_factory: pytest.TempPathFactory
) -> Config:
    """Configuration of a finished run of the small federation, for tests that change nothing."""
    text = configurations.small(tmp_path_factory.mktemp("small"), image_folder, tiny_pipeline)
    config = parse_config(text, "small.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        run_of(config, workers=1)
    return config


@pytest.fixture
def small(small_toml: str) -> Callable[..., Config]:
    """Configuration of the small federation with settings replaced."""
    return lambda *overrides: parse_config(small_toml, "small.toml", overrides)


@pytest.fixture
def hospitals(
    image_folder: Path, tiny_pipeline: Path, tmp_path: Path
) -> Callable[..., list[SiteConfig]]:
    """The three clients of the small federation, each with a folder and a site.toml of its own."""

    def make(**extra: str) -> list[SiteConfig]:
        found = []
        for name in CLIENTS:
            folder = tmp_path / "sites" / name
            (folder / "images").mkdir(parents=True, exist_ok=True)
            with (image_folder / "metadata.csv").open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["site"] == name]
            for row in rows:
                shutil.copy(image_folder / row["file_name"], folder / "images")
            with (folder / "images" / "metadata.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["file_name", "dx", "geschlecht", "split"])
                writer.writerows(
                    (row["file_name"], row["label"].upper(), row["sex"], row["split"])
                    for row in rows
                )
            mapped = ", ".join(f"{label.upper()} = {json.dumps(label)}" for label in CLASSES)
            (folder / "site.toml").write_text(
                f'name = "{name}"\n[data]\nsource = "images"\nlabel = "dx"\n'
                f'sensitive = {{ sex = "geschlecht" }}\nlabels = {{ {mapped} }}\n'
                f"[models]\ngenerator = {json.dumps(str(tiny_pipeline))}\n{extra.get(name, '')}"
            )
            found.append(load_site(folder / "site.toml"))
        return found

    return make
