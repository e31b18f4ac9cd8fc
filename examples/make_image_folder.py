"""Write an image folder to try `examples/image_folder.toml` on: a stand-in for your own images.

Usage: ``python examples/make_image_folder.py [DIRECTORY]``

The pictures are shoes and bags of the bundled data, at three sites. The column `colour` says what
they are shaded in, each site mostly in its own; two more say how the picture was taken, and some
values are absent, as in real tables.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from fairfed.config import parse_config
from fairfed.data import load_images
from semantic.tint import TINTS, tint_images

CLASSES = ("Sandal", "Sneaker", "Bag", "Ankle boot")
SITES = {"north": ("Sandal", "Sneaker"), "south": ("Bag", "Ankle boot"), "west": CLASSES}
COLOURS = {"north": (0.8, 0.2, 0, 0), "south": (0, 0.2, 0.8, 0), "west": (0.5, 0.1, 0.1, 0.3)}
"""Shares of the colours at each site, in the order of `TINTS`: grey, red, green, blue."""
IMAGES = 1200


def main(directory: Path = Path("my-images")) -> None:
    """Write ``metadata.csv`` and its pictures."""
    table = load_images(parse_config("data.tint.enabled = false", "example"))
    rng = np.random.default_rng(0)
    wanted = [table.classes.index(name) for name in CLASSES]
    rows = rng.permutation(np.flatnonzero(np.isin(table.labels, wanted)))[:IMAGES]
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file_name", "label", "colour", "light", "side", "site", "split"])
        for row in rows.tolist():
            label = table.classes[table.labels[row]]
            site = rng.choice([name for name, classes in SITES.items() if label in classes])
            light = rng.choice(["day", "lamp", ""], p=[0.6, 0.35, 0.05])
            side = rng.choice(["left", "right"])
            split = "test" if table.test[row] else "train"
            # Test pictures have even shares, so that every cell can be measured.
            colour = rng.choice(len(TINTS), p=COLOURS[site] if split == "train" else None)
            image = tint_images(table.images[row][None], np.array([colour]))[0]
            image = image if light == "day" else np.uint8(image * 0.9)
            Image.fromarray(np.ascontiguousarray(image)).save(directory / f"{row}.png")
            described = [list(TINTS)[colour], light, side, site, split]
            writer.writerow([f"{row}.png", label, *described])
    sys.stdout.write(f"{directory}: {len(rows)} images at {len(SITES)} sites\n")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
