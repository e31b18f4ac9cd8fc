"""Fashion-MNIST: the bundled subset and the full set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fairfed.config.labels import ALL
from fairfed.data.hub import load_splits
from fairfed.data.pixels import resize_all
from fairfed.data.table import ImageTable, encode
from generators.idx import DEBIAN_DIRECTORY, read_idx
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import DataConfig

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
BUNDLED = Path(__file__).parents[1] / "bundled" / "fashion_mnist.npz"
HUB_NAME = "zalando-datasets/fashion_mnist"
SIDE = 32


def load_bundled(data: DataConfig) -> ImageTable:
    """Load the bundled subset: 600 training and 200 test images of each class."""
    with np.load(BUNDLED) as arrays:
        return _table(arrays["images"], arrays["labels"], arrays["test"], data)


def load_full(data: DataConfig) -> ImageTable:
    """Load all 70,000 images from IDX files, or through `datasets` where there are none."""
    if data.directory is None and not DEBIAN_DIRECTORY.is_dir():
        splits = [load_splits(HUB_NAME)[part] for part in ("train", "test")]
        images = [np.stack([np.asarray(image) for image in split["image"]]) for split in splits]
        labels = [np.asarray(split["label"], np.uint8) for split in splits]
    else:
        directory = Path(data.directory) if data.directory is not None else DEBIAN_DIRECTORY
        parts = ("train", "t10k")
        images = [read_idx(directory / f"{part}-images-idx3-ubyte.gz") for part in parts]
        labels = [read_idx(directory / f"{part}-labels-idx1-ubyte.gz") for part in parts]
    test = np.repeat([False, True], [len(labels[0]), len(labels[1])])
    return _table(np.concatenate(images), np.concatenate(labels), test, data)


def pad_to_square(images: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Frame ``[n, H, W]`` images in black up to ``[n, side, side]``."""
    rows, columns = side - images.shape[1], side - images.shape[2]
    frame = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return np.pad(images, ((0, 0), *frame))


def _table(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.integer],
    test: npt.NDArray[np.bool_],
    data: DataConfig,
) -> ImageTable:
    """Bring grey images to RGB of the asked size; the only sensitive feature is the tint."""
    others = set(data.sensitive) - {"tint"}
    if others:
        raise InputError(
            f"data.sensitive: {data.source!r} has no column {min(others)!r}; it knows only 'tint'"
        )
    if images.ndim == 3:
        images = pad_to_square(images, SIDE) if max(images.shape[1:]) <= SIDE else images
        images = np.repeat(images[..., np.newaxis], 3, axis=-1)
    if images.shape[1] != data.image_size:
        images = resize_all(images, data.image_size)
    classes = data.classes or FASHION_CLASSES
    unknown = [name for name in FASHION_CLASSES if name not in classes]
    if unknown:
        raise InputError(
            f"data.classes: {data.source!r} has the label {unknown[0]!r}, which is not among them; "
            "leave data.classes empty for all ten"
        )
    return ImageTable(
        images=images,
        labels=encode(FASHION_CLASSES, classes)[labels.astype(np.int64)],
        groups=np.zeros(len(labels), np.int64),
        test=test.astype(bool),
        classes=classes,
        group_names=(ALL,),
    )
