"""The sorts of data sources: how each is named, what rows it gives, and who reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fairfed.config.presets import PRESETS
from semantic.own_code import OWN

Kind = Literal["images", "table"]
"""What rows are."""
FRAME = "frame:"
"""Begins the source of a table that a Python program holds."""
HUB = "hf:"
"""Begins the source of a Hugging Face dataset."""
BUNDLED = "bundled"
"""The source whose rows everybody has."""
FASHION = (BUNDLED, "fashion-mnist")
"""Images to simulate with, which have no sensitive feature and come with fairfed or beside it."""


@dataclass(frozen=True)
class Source:
    """A sort of data source."""

    fits: Callable[[str], object]  # whether a `data.source` is of this sort
    # `module:function`, a function of the `DataConfig`. Of images it returns `Records`, of a table
    # a DataFrame of texts and what errors call the source.
    reader: str
    kind: Kind = "images"  # what rows it gives
    is_path: bool = False  # whether the source is the path of a file or folder


def _is(*names: str) -> Callable[[str], object]:
    return lambda source: source in names


def _begins(prefix: str) -> Callable[[str], object]:
    return lambda source: source.startswith(prefix)


def _ends(suffix: str) -> Callable[[str], object]:
    return lambda source: source.lower().endswith(suffix)


SOURCES = (
    Source(_is(BUNDLED), "fairfed.data.fashion:load_bundled"),
    Source(_is("fashion-mnist"), "fairfed.data.fashion:load_full"),
    Source(_begins(HUB), "fairfed.data.hub:read_hub"),
    Source(_begins(FRAME), "fairfed.data.tables.read:read_frame", "table"),
    Source(_is("adult"), "fairfed.data.tables.read:read_adult", "table"),
    Source(_is(*PRESETS), "fairfed.data.tables.read:read_preset", "table"),
    Source(_ends(".csv"), "fairfed.data.tables.read:read_file", "table", is_path=True),
    Source(_ends(".parquet"), "fairfed.data.tables.read:read_file", "table", is_path=True),
)
"""In the order in which they are tried; a source of none of these sorts is an image folder."""
FOLDER = Source(lambda source: True, "fairfed.data.folder:read_folder", is_path=True)
LISTED = Source(
    lambda source: source.lower().endswith((".csv", ".jsonl", ".parquet")),
    "fairfed.data.folder:read_image_table",
    is_path=True,
)
"""A table that names image files; one of the first sort that may also be a table of numbers."""


def is_own(source: str) -> bool:
    """Whether a `data.source` is a function of the user's own, `module:function`."""
    return _registered(source) is None and OWN.fullmatch(source) is not None


def source_of(source: str, kind: Kind | None = None) -> Source:
    """The sort of a `data.source`; where it may be of several, one that gives `kind`."""
    known = _registered(source)
    if LISTED.fits(source) and (kind == "images" or known is None):
        return LISTED
    if known is None and is_own(source):
        return Source(_is(source), source, kind or "images")
    return known or FOLDER


def _registered(source: str) -> Source | None:
    return next((sort for sort in SOURCES if sort.fits(source)), None)
