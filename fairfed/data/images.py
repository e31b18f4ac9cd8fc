"""The pixels of a source's rows, and which rows have none."""

from __future__ import annotations

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


def read_images(
    records: Records, rows: Sequence[int], data: DataConfig
) -> tuple[Pixels, npt.NDArray[np.int64]]:
    """Read the images of `rows`.

    Returns
    -------
    ``[k, side, side, 3]``, and the positions in `rows` that they are of, ``[k]``: all but those of
    unreadable files, as far as `data.unreadable` allows.

    Raises
    ------
    semantic.errors.InputError
        If too many files are unreadable; it lists them.
    """
    read: list[Decoded | None] = []
    bad: list[str] = []
    for row in rows:
        try:
            read.append(_read(records, row, data))
        except InputError as error:
            read.append(None)
            bad.append(f"{records.name(row)}: {error}")
    if bad:
        _judge(bad, len(rows), records.where, data)
    kept = np.array([place for place, one in enumerate(read) if one is not None], np.int64)
    good = [one for one in read if one is not None]
    return _to_8_bits(good, records.where, data), kept


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


def _to_8_bits(read: list[Decoded], where: str, data: DataConfig) -> Pixels:
    """All images in 8 bits; what had to be decided for that is said."""
    see_through = sum(one.see_through for one in read)
    if see_through:
        say(
            f"{where}: {see_through:,} of {len(read):,} images are transparent in parts and laid "
            f"on {data.background} (data.background)"
        )
    halved = sum(one.halved for one in read)
    if halved:
        say(
            f"{where}: {halved:,} of {len(read):,} images have colours of 16 bits, of which the "
            "upper 8 are used; images that use fewer bits come out dark: save them with 8"
        )
    deep = [one for one in read if one.spread is not None]
    window = (0.0, 1.0)
    if deep:
        window = data.window or choose_window(deep)
        say(
            f"{where}: {len(deep):,} of {len(read):,} images have more than 8 bits; values from "
            f"{window[0]:g} to {window[1]:g} become 0 to 255 (data.window)"
        )
    side = data.image_size
    images = np.empty((len(read), side, side, 3), np.uint8)
    for place, one in enumerate(read):
        images[place] = (
            one.pixels if one.pixels.dtype == np.uint8 else through_window(one.pixels, window)  # type: ignore[arg-type]
        )
    return images
