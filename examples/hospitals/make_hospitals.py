"""Write three small hospitals, each with data of its own, to try a federation of sites on.

Usage: ``python examples/hospitals/make_hospitals.py [DIRECTORY]``, then
``fairfed site check DIRECTORY/south/site.toml --federation DIRECTORY/study.toml``

The pictures are shoes and bags of the bundled data, no two sites with the same ones. Each site has
a layout, names and gaps of its own; what they mean to the federation is in each one's `site.toml`.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from fairfed.config import parse_config
from fairfed.data import load_images
from semantic.tint import TINTS, tint_images

HERE = Path(__file__).parent
CLASSES = ("Sandal", "Sneaker", "Bag", "Ankle boot")
GERMAN = dict(zip(CLASSES, ("Sandale", "Turnschuh", "Tasche", "Stiefelette"), strict=True))
CODES = dict(zip(CLASSES, (10, 20, 30, 40), strict=True))
COLOURS = dict(zip(TINTS, ("grau", "rot", "grün", "blau"), strict=True))
SHARES = {"north": (0.4, 0.4, 0.1, 0.1), "south": (0.1, 0.1, 0.7, 0.1), "west": (0.1, 0.1, 0, 0.8)}
"""Shares of the tints in training pictures, in the order of `TINTS`; in test pictures even ones."""
TRAINING, TESTING = 60, 20
"""Pictures of each class at each site."""
DAMAGED = 2


class Picture(NamedTuple):
    """A picture and what is known of it."""

    pixels: npt.NDArray[np.uint8]
    label: str
    tint: str
    part: str


def main(directory: Path = Path("hospitals")) -> None:
    """Write the three hospitals and the study."""
    rng = np.random.default_rng(0)
    directory.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "study.toml", directory)
    writers = {"north": _north, "south": _south, "west": _west}
    for place, (name, write) in enumerate(writers.items()):
        images = directory / name / "images"
        images.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / name / "site.toml", directory / name)
        write(images, list(_pictures(name, place, rng)), rng)
    sys.stdout.write(f"{directory}: {', '.join(writers)} and study.toml\n")


def _pictures(site: str, place: int, rng: np.random.Generator) -> Iterator[Picture]:
    table = load_images(parse_config("data.tint.enabled = false", "example"))
    for label in CLASSES:
        for part, count in (("train", TRAINING), ("test", TESTING)):
            of = (table.labels == table.classes.index(label)) & (table.test == (part == "test"))
            rows = np.flatnonzero(of)[place * count : (place + 1) * count]
            shares = SHARES[site] if part == "train" else None
            tints = rng.choice(len(TINTS), size=count, p=shares)
            for row, tint in zip(rows, tints, strict=True):
                pixels = tint_images(table.images[row][None], np.array([tint]))[0]
                yield Picture(pixels, label, list(TINTS)[tint], part)


def _save(picture: Picture, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(picture.pixels)).save(path)


def _north(images: Path, pictures: list[Picture], rng: np.random.Generator) -> None:
    """A folder for each class; no word of tints."""
    for number, picture in enumerate(pictures):
        _save(picture, images / picture.part / GERMAN[picture.label] / f"{number}.png")


def _south(images: Path, pictures: list[Picture], rng: np.random.Generator) -> None:
    """A CSV table with codes; 99 is something else, and a tint in twenty is blank."""
    with (images / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["datei", "code", "farbe", "teil", "file_name"])
        for number, picture in enumerate(pictures):
            name = f"bild-{number}.png"
            _save(picture, images / name)
            code = 99 if number % 40 == 7 else CODES[picture.label]
            colour = "" if rng.random() < 0.05 else COLOURS[picture.tint]
            writer.writerow([number, code, colour, picture.part, name])


def _west(images: Path, pictures: list[Picture], rng: np.random.Generator) -> None:
    """JSON lines without bags; two files are damaged, and a few rows are of nothing we study."""
    lines = []
    held = [picture for picture in pictures if picture.label != "Bag"]
    for number, picture in enumerate(held):
        name = f"{number:04}.png"
        _save(picture, images / name)
        if number in range(0, 50 * DAMAGED, 50):
            (images / name).write_bytes((images / name).read_bytes()[:40])
        label = "boot" if picture.label == "Ankle boot" else picture.label
        label = "hat" if number % 60 == 11 else label
        row = {"image": name, "dx": label, "tint": picture.tint, "split": picture.part}
        lines.append(json.dumps(row))
    (images / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
