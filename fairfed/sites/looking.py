"""A first look at a site's data: layout, columns, labels, sensitive values, unreadable files.

Guesses are guesses: they are said, and a person confirms them in site.toml.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fairfed.config.data import DataConfig
from fairfed.config.source import HUB, is_own
from fairfed.data.columns import known_texts
from fairfed.data.folder import FILE, FILE_COLUMNS
from fairfed.data.grouping import MOST_NUMBERS, as_number
from fairfed.data.images import read_images
from fairfed.data.reading import read_records
from fairfed.data.records import MARK
from fairfed.data.splits import part_of
from fairfed.data.tables.read import read_table
from semantic.errors import InputError

LABELS = (
    "label", "labels", "class", "klasse", "dx", "diagnosis", "diagnose", "diagnosticcode", "icd",
    "icd10", "target", "category", "kategorie", "finding", "befund", "outcome", "y",
)  # fmt: skip
"""What the column of the label is called often, in lower case without signs."""
SENSITIVE = (
    "sex", "gender", "geschlecht", "age", "alter", "agegroup", "race", "ethnicity", "skin",
    "skintype", "skintone", "fitzpatrick", "insurance", "language", "religion", "tint",
)  # fmt: skip
"""What sensitive columns are called often, in lower case without signs."""
SPLIT = "split"
MOST_CLASSES = 100
"""A column with more different values is taken for no label."""
MOST_GROUPS = 10
"""A column with more different values is taken for no sensitive one."""


@dataclass(frozen=True)
class Column:
    """A column of the site's data."""

    name: str  # what the site calls it
    values: Mapping[str, int]  # rows by value, the most frequent first
    blank: int  # rows without a value

    @property
    def plain(self) -> str:
        """The name in lower case without signs."""
        return "".join(sign for sign in self.name.casefold() if sign.isalnum())

    @property
    def cuts(self) -> tuple[float, ...]:
        """Cut points that a column of measurements needs to make groups, or none."""
        numbers = [number for text in self.values if (number := as_number(text)) is not None]
        if len(numbers) <= MOST_NUMBERS or len(numbers) < len(self.values):
            return ()
        return tuple(sorted({float(f"{cut:.3g}") for cut in np.percentile(numbers, (33, 67))}))


@dataclass(frozen=True)
class Look:
    """What a first look has found."""

    source: str  # as `data.source` names it
    layout: str  # how the data lie, in words
    # What errors call the source, what its rows are called, and how many there are.
    where: str
    unit: str
    rows: int
    columns: tuple[Column, ...]  # all columns with a few values; others are no label and no group
    label: Column | None  # the column that is taken for the label; None where several could be
    # Columns that could be the label, and those that could be sensitive.
    labels: tuple[Column, ...]
    sensitive: tuple[Column, ...]
    split: str | None  # the column that says which rows are for testing; None where there is none
    divided: bool  # whether folders or splits say it
    # What is wrong with images that cannot be read, where they are too many to be skipped.
    unreadable: str = ""
    skipped: int = 0  # images that cannot be read, where they are few

    @property
    def undivided(self) -> bool:
        """Whether nothing says which images are for testing."""
        return self.unit == "images" and self.split is None and not self.divided


def look_at(source: str) -> Look:
    """Look at an image folder, a table or a dataset; every image is opened once."""
    data = DataConfig(source=source, sensitive=())
    return _look_at_table(data) if data.tabular else _look_at_images(data)


def _look_at_table(data: DataConfig) -> Look:
    source = data.source
    frame, where = read_table(data)
    texts = {
        name: [None if text in data.table.missing else text for text in frame[name]]
        for name in frame.columns
    }
    return _guessed(source, f"a table ({Path(source).suffix[1:]})", where, "rows", texts, False)


def _look_at_images(data: DataConfig) -> Look:
    source, records = data.source, read_records(data)
    texts = {name: known_texts(values, data.missing) for name, values in records.columns.items()}
    if source.startswith(HUB):
        layout = "a dataset"
    elif is_own(source):
        layout = "a source of your own"
    elif FILE in texts:
        layout = f"an image folder with the table {Path(records.where).name}"
    else:
        layout = "a folder for each class"
    found = _guessed(source, layout, records.where, "images", texts, records.parts is not None)
    try:
        _, read = read_images(records, range(records.size), data)
    except InputError as error:
        return replace(found, unreadable=str(error))
    return replace(found, skipped=records.size - len(read))


def _guessed(
    source: str,
    layout: str,
    where: str,
    unit: str,
    texts: Mapping[str, Sequence[str | None]],
    divided: bool,
) -> Look:
    columns = [_column(name, values) for name, values in texts.items()]
    rows = len(next(iter(texts.values()), ()))
    split = next((c.name for c in columns if _is_split(c)), None)
    free = [c for c in columns if c.name not in (split, MARK, FILE) and c.plain not in FILE_COLUMNS]
    known = [c for c in free if c.plain in SENSITIVE]
    few = [
        c for c in free
        if 2 <= len(c.values) <= MOST_CLASSES and 2 * len(c.values) <= rows and not c.cuts
    ]  # fmt: skip
    named = [c for c in free if c.plain in LABELS and c.values]
    named.sort(key=lambda column: LABELS.index(column.plain))
    labels = named or [c for c in few if c not in known]
    label = labels[0] if named or len(labels) == 1 else None
    groups = [c for c in few if len(c.values) <= MOST_GROUPS]
    sensitive = [c for c in free if c != label and (c in known or c in groups)]
    return Look(
        source=source,
        layout=layout,
        where=where,
        unit=unit,
        rows=rows,
        columns=tuple(c for c in free if c in (*few, *known, *labels)),
        label=label,
        labels=tuple(labels),
        sensitive=tuple(sensitive),
        split=split,
        divided=divided,
    )


def _column(name: str, texts: Sequence[str | None]) -> Column:
    counts = Counter(texts)
    blank = counts.pop(None, 0)
    return Column(name, {t: n for t, n in counts.most_common() if t is not None}, blank)


def _is_split(column: Column) -> bool:
    """Whether a column has nothing but words for parts, and some for testing."""
    parts = {part_of(value) for value in column.values}
    return bool(parts) and None not in parts and not column.blank and "test" in parts
