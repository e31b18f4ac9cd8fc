"""Which images `label_skew.py` gives to the clients, and which it tests on."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _label_skew_rows import UNSEEN

from evaluation.files import write_whole
from fairfed.data.fashion import BUNDLED, FASHION_CLASSES
from generators.idx import DEBIAN_DIRECTORY, read_idx
from semantic.induction import measured_sums
from semantic.measures import measured_words

TABLE = Path("benchmarks/zero_shot_attributes.csv")
MEASURED = 3000
"""Images on which the words of the seen classes are counted."""
UNSEEN_BY_GENERATOR = 600
"""Training images of each class that no bundled weight was trained on."""
CLASSES = 10
Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Prepared:
    """IDX files that a run reads.

    Attributes
    ----------
    directory
        Where they are.
    identity
        What a result depends on.
    said
        What they are, in words.
    """

    directory: Path
    identity: str
    said: str


def prepare(source: Path | None, per_class: int, work: Path) -> Prepared:
    """Choose the images and write them as IDX files.

    Parameters
    ----------
    source
        Folder of Fashion-MNIST's IDX files; None for Debian's, or the bundled images without it.
    per_class
        Training images of each class, which is also the clients' mean number.
    """
    if source is None and DEBIAN_DIRECTORY.is_dir():
        source = DEBIAN_DIRECTORY
    with np.load(BUNDLED) as arrays:
        bundled = {name: arrays[name] for name in ("images", "labels", "test", "index")}
    own = ~bundled["test"]
    images, labels = bundled["images"][own], bundled["labels"][own]
    test = bundled["images"][~own], bundled["labels"][~own]
    tested = "2,000 bundled test images (the full set was not found)"
    measured = images[:MEASURED], labels[:MEASURED]
    if source is not None:
        test = _read(source, "t10k")
        tested = "all 10,000 test images"
        everything, their_labels = _read(source, "train")
        rest = np.setdiff1d(np.arange(len(everything)), bundled["index"][own])
        measured = everything[rest[:MEASURED]], their_labels[rest[:MEASURED]]
        images = np.concatenate([images, everything[rest]])
        labels = np.concatenate([labels, their_labels[rest]])
    # Images that the generator has not seen come first.
    rows = np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in range(CLASSES)])
    images, labels = images[rows], labels[rows]
    identity = f"{len(labels)} of {'full' if source else 'bundled'}, {len(test[1])} tested"
    directory = (work / f"data-{len(labels)}-{len(test[1])}").absolute()
    _write(directory, "train", images, labels)
    _write(directory, "t10k", *test)
    _write_table(directory / "attributes.csv", *measured)
    seen = (
        "on none of which any bundled weight (generator, CLIP) was trained"
        if per_class <= UNSEEN_BY_GENERATOR
        else f"of which the bundled weights have seen all but {UNSEEN_BY_GENERATOR} a class"
    )
    said = (
        f"Fashion-MNIST, grey. Clients share {len(labels):,} training images, {seen}; tested on "
        f"{tested}, which nothing was trained on. The bundled weights were trained on the other "
        "54,000 training images (less 2,000 for choosing settings)."
    )
    return Prepared(directory, identity, said)


def _read(folder: Path, part: str) -> tuple[Images, Images]:
    names = (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz")
    images, labels = (read_idx(folder / name) for name in names)
    return images, labels


def _write(folder: Path, part: str, images: Images, labels: Images) -> None:
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        path = folder / f"{part}-{name}-ubyte"
        content = head + np.ascontiguousarray(array, np.uint8).tobytes()
        if not path.is_file() or path.read_bytes() != content:
            write_whole(path, content)


def _write_table(path: Path, images: Images, labels: Images) -> None:
    """The attribute table of zero_shot.md, with how often seen classes deserve measured words.

    Counted on images that trained the generator: whose captions it knows, knows these numbers.
    """
    if path.is_file():
        return
    sums = measured_sums(labels.astype(np.int64), measured_words(images), FASHION_CLASSES)
    shares = sums.frequencies()
    head, *rows = csv.reader(TABLE.read_text().splitlines())
    filled = [head]
    for row in rows:
        own = {} if row[0] in UNSEEN else shares.get(row[0], {})
        filled.append(
            [f"{own[a]:.3f}" if a in own else old for a, old in zip(head, row, strict=True)]
        )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(filled)
    write_whole(path, text.getvalue().encode())
