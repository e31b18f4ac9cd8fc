"""Small image folders for the tests of reading them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from fairfed.config import Config, parse_config

Array = npt.NDArray[np.generic]


def configure(folder: object, *overrides: str) -> Config:
    """Configuration over a folder without sensitive columns, images of 8 pixels."""
    text = f'data.source = "{folder}"\ndata.sensitive = []\ndata.image_size = 8'
    return parse_config(text, "x", overrides)


def noise(seed: int, side: int = 8) -> npt.NDArray[np.uint8]:
    """A grey image of black, white and what lies between, like no other."""
    image = np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)
    image[0, 0], image[0, 1] = 0, 255
    return image


def write(folder: Path, images: Mapping[str, Array | Image.Image], labels: Sequence[str]) -> Path:
    """Write images and a table in which the last two rows are for testing."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["file_name,label,split"]
    for number, (name, image) in enumerate(images.items()):
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        picture.save(folder / name)
        part = "train" if number < len(images) - 2 else "test"
        rows.append(f"{name},{labels[number % len(labels)]},{part}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def noises(count: int) -> dict[str, npt.NDArray[np.uint8]]:
    """So many images, all different."""
    return {f"{row}.png": noise(row) for row in range(count)}
