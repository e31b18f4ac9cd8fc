"""Cut the bundled data from Fashion-MNIST: a balanced, seeded subset in one compressed file.

Usage: ``python scripts/bundle_data.py [SOURCE_DIRECTORY] [OUTPUT.npz]``

The source directory holds the four IDX files as Debian's package ``dataset-fashion-mnist`` installs
them. Rows that are *not* in the subset train the bundled weights, so the subset must not change
without training the weights anew: it is kept in version control and ``index`` names its rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairfed.data.fashion import BUNDLED
from generators.idx import DEBIAN_DIRECTORY, read_idx
from generators.training.making import write_checksums

SEED = 2026
CLASSES = 10
TRAIN_PER_CLASS = 600
TEST_PER_CLASS = 200


def choose(
    labels: npt.NDArray[np.uint8], per_class: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Row numbers of `per_class` rows of every class, sorted."""
    rows = [
        rng.choice(np.flatnonzero(labels == label), per_class, replace=False)
        for label in range(CLASSES)
    ]
    return np.sort(np.concatenate(rows)).astype(np.int64)


def main(source: Path = DEBIAN_DIRECTORY, output: Path = BUNDLED) -> None:
    """Write the subset: ``images`` [8000, 28, 28], ``labels``, ``test`` and ``index`` [8000]."""
    rng = np.random.default_rng(SEED)
    images, labels, test, index = [], [], [], []
    for prefix, per_class, is_test in (
        ("train", TRAIN_PER_CLASS, False),
        ("t10k", TEST_PER_CLASS, True),
    ):
        all_images = read_idx(source / f"{prefix}-images-idx3-ubyte.gz")
        all_labels = read_idx(source / f"{prefix}-labels-idx1-ubyte.gz")
        rows = choose(all_labels, per_class, rng)
        images.append(all_images[rows])
        labels.append(all_labels[rows])
        test.append(np.full(rows.size, is_test))
        index.append(rows.astype(np.int32))
    np.savez_compressed(
        output,
        images=np.concatenate(images),
        labels=np.concatenate(labels),
        test=np.concatenate(test),
        index=np.concatenate(index),
    )
    write_checksums(output.parent)
    print(f"{output}: {output.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
