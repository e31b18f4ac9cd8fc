"""The pixels of a source's rows, and which rows have none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fairfed.data.pixels import Decoded, Pixels, choose_window, read_image, through_window
from fairfed.data.records import Records
from fairfed.data.saying import say
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import DataConfig

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
) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Read the images of `rows`, ``[k, side, side, 3]``, and their positions in `rows`, ``[k]``.

    That is all but those of unreadable files, as far as `data.unreadable` allows: an `InputError`
    lists them where they are too many.
    """
    side, where = data.image_size, records.where
    images = np.empty((len(rows), side, side, 3), np.uint8)
    deep: dict[int, Decoded] = {}
    bad: dict[int, str] = {}
    noted: Counter[str] = Counter()
    for place, row in enumerate(rows):
        try:
            one = _read(records, row, data)
        except InputError as error:
            bad[place] = f"{records.name(row)}: {error}"
            continue
        noted.update(note for note in NOTES if getattr(one, note))
        if one.spread is not None:
            deep[place] = one
        else:
            images[place] = one.pixels
    if bad:
        _judge(list(bad.values()), len(rows), where, data)
    of = f"of {len(rows) - len(bad):,} images"
    for note, count in noted.items():
        say(f"{where}: {count:,} {of} {NOTES[note].format(background=data.background)}")
    if deep:
        low, high = window = data.window or choose_window(list(deep.values()))
        say(
            f"{where}: {len(deep):,} {of} have more than 8 bits; values from {low:g} to {high:g} "
            "become 0 to 255 (data.window)"
        )
        for place, one in deep.items():
            images[place] = through_window(one.pixels, window)
    kept = np.array([place for place in range(len(rows)) if place not in bad], np.int64)
    return images[kept] if bad else images, kept


def _read(records: Records, row: int, data: DataConfig) -> Decoded:
    content = records.content(row)
    if content is None:
        raise InputError("no image")
    return read_image(content, data.image_size, data.background, data.max_megapixels)


def _judge(bad: list[str], total: int, where: str, data: DataConfig) -> None:
    """Leave unreadable images out if that is allowed, and name all of them either way."""
    more = [f"… and {len(bad) - MOST_LISTED:,} more"] if len(bad) > MOST_LISTED else []
    listed = "\n  ".join([*bad[:MOST_LISTED], *more])
    found = f"{where}: {len(bad):,} of {total:,} images cannot be read"
    allowed = MOST_UNREADABLE * total if data.unreadable == "skip" else 0
    if len(bad) <= allowed:
        say(f"{found} and are left out; {total - len(bad):,} are used:\n  {listed}")
        return
    limit = f", and data.unreadable = 'skip' leaves out {MOST_UNREADABLE:.0%} at most"
    raise InputError(
        f"{found}{limit if data.unreadable == 'skip' else ''}; replace them, or remove their "
        f"rows:\n  {listed}"
    )
