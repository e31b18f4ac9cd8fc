"""The pixels of a source's rows, and which rows have none."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fairfed.data.decoded import GIB, PixelWriter, Reading, in_file
from fairfed.data.pixels import Decoded, Pixels, any_size, choose_window, read_image, through_window
from fairfed.data.records import Records
from fairfed.data.saying import say
from fairfed.data.stored import Images, chosen
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import DataConfig

logger = logging.getLogger("fairfed")

AT_ONCE = 250
"""Images that are decoded before the first of them is put away."""
TELL_EVERY = 20_000
MOST_UNREADABLE = 0.01
"""Share of the images that may be left out as unreadable."""
MOST_LISTED = 1000
NOTES = {
    "see_through": "are transparent in parts and laid on {background} (data.background)",
    "halved": "have colours of 16 bits, of which the upper 8 are used; images that use fewer bits "
    "come out dark: save them with 8",
}
"""What is said of images of which `Decoded` says so."""


def read_images(
    records: Records, rows: Sequence[int], data: DataConfig
) -> tuple[Images, npt.NDArray[np.int64]]:
    """Read the images of `rows`, ``[k, side, side, 3]``, and their positions in `rows`, ``[k]``.

    That is all but those of unreadable files, as far as `data.unreadable` allows: an `InputError`
    lists them where they are too many. Those that `data.memory` cannot hold stay in a file.
    """
    shape = len(rows), data.image_size, data.image_size, 3
    images: Images
    if np.prod(shape) <= data.memory * GIB:
        images = np.empty(shape, np.uint8)
        read = _decode(records, rows, data, images)
    else:
        images, read = in_file(records, rows, data, lambda to: _decode(records, rows, data, to))
    for message in read.said:
        say(message)
    kept = np.array(read.kept, np.int64)
    return chosen(images, kept) if len(kept) < len(rows) else images, kept


def _decode(
    records: Records, rows: Sequence[int], data: DataConfig, images: Pixels | PixelWriter
) -> Reading:
    """Put the image of each row at its position in `images`."""
    where, in_memory = records.where, isinstance(images, np.ndarray)
    deep: dict[int, Decoded] = {}
    bad: dict[int, str] = {}
    noted: Counter[str] = Counter()
    for place, one in enumerate(_each(records, rows, data)):
        if isinstance(one, InputError):
            bad[place] = f"{records.name(rows[place])}: {one}"
            continue
        noted.update(note for note in NOTES if getattr(one, note))
        if one.spread is None:
            images[place] = np.asarray(one.pixels, np.uint8)
        else:  # until all are read, nobody knows what is black and white
            deep[place] = one if in_memory else one._replace(pixels=one.pixels[:0])
    said = _judge(list(bad.values()), len(rows), where, data) if bad else []
    of = f"of {len(rows) - len(bad):,} images"
    for note, count in noted.items():
        said.append(f"{where}: {count:,} {of} {NOTES[note].format(background=data.background)}")
    if deep:
        low, high = window = data.window or choose_window(list(deep.values()))
        said.append(
            f"{where}: {len(deep):,} {of} have more than 8 bits; values from {low:g} to {high:g} "
            "become 0 to 255 (data.window)"
        )
        again = [rows[place] for place in deep]
        decoded = iter(deep.values()) if in_memory else _each(records, again, data)
        for place, one in zip(deep, decoded, strict=True):
            if isinstance(one, InputError):
                raise one
            images[place] = through_window(one.pixels, window)
    return Reading([place for place in range(len(rows)) if place not in bad], said)


def _each(
    records: Records, rows: Sequence[int], data: DataConfig
) -> Iterator[Decoded | InputError]:
    """The images of rows in their order, or why one cannot be read; all processors decode."""

    def read(row: int) -> Decoded | InputError:
        try:
            content = records.content(row)
            if content is None:
                raise InputError("no image")
            return read_image(content, data.image_size, data.background, data.max_megapixels)
        except InputError as error:
            return error

    with any_size(), ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(rows), AT_ONCE):
            yield from threads.map(read, rows[start : start + AT_ONCE])
            done = start + AT_ONCE
            if done % TELL_EVERY == 0:
                logger.info("%s: %d of %d images are decoded", records.where, done, len(rows))


def _judge(bad: list[str], total: int, where: str, data: DataConfig) -> list[str]:
    """What is said of unreadable images that are left out; an `InputError` if they may not be."""
    more = [f"… and {len(bad) - MOST_LISTED:,} more"] if len(bad) > MOST_LISTED else []
    listed = "\n  ".join([*bad[:MOST_LISTED], *more])
    found = f"{where}: {len(bad):,} of {total:,} images cannot be read"
    allowed = MOST_UNREADABLE * total if data.unreadable == "skip" else 0
    if len(bad) <= allowed:
        return [f"{found} and are left out; {total - len(bad):,} are used:\n  {listed}"]
    limit = f", and data.unreadable = 'skip' leaves out {MOST_UNREADABLE:.0%} at most"
    raise InputError(
        f"{found}{limit if data.unreadable == 'skip' else ''}; replace them, or remove their "
        f"rows:\n  {listed}"
    )
