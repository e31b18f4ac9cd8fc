"""Hugging Face datasets, by name or saved with `save_to_disk`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairfed.config.source import HUB
from fairfed.data.columns import near
from fairfed.data.records import Records
from fairfed.data.saying import say
from fairfed.data.splits import Part, part_of
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import DataConfig


def read_hub(data: DataConfig) -> Records:
    """The rows of a dataset; its splits say what they are for, or its split column.

    Raises `InputError` if it cannot be loaded (with what to run), or lacks a column.
    """
    import datasets

    where = f"data.source {data.source}"
    parts = _parts(load_splits(data.source.removeprefix(HUB)), where)
    found = list(parts[0][1].column_names)
    image = data.image_column
    if image not in found:
        raise InputError(
            f"{where}: no column {image!r}, which data.image_column names; there are: "
            f"{', '.join(found)}{near(image, found)}"
        )
    features = parts[0][1].features
    # Other writers of parquet than `datasets` leave a plain structure of bytes and path.
    plain = isinstance(features[image], dict) and "bytes" in features[image]
    if not plain and not isinstance(features[image], datasets.Image):
        raise InputError(f"{where}: column {image!r} holds no images; name it in data.image_column")
    sets = [part for _, part in parts]
    files = [part.select_columns([image]).cast_column(image, datasets.Image(decode=False))
             for part in sets]  # fmt: skip
    ends = np.cumsum([len(part) for part in sets]).tolist()
    if not ends[-1]:
        raise InputError(f"{where}: no rows")

    def file(row: int) -> dict[str, Any]:
        place = int(np.searchsorted(ends, row, side="right"))
        start = ends[place - 1] if place else 0
        return files[place][row - start][image] or {}

    def content(row: int) -> Path | bytes | None:
        held = file(row)
        if held.get("bytes") is not None:
            return bytes(held["bytes"])
        return Path(held["path"]) if held.get("path") else None

    divided = [part for part, rows in parts for _ in range(len(rows)) if part is not None]
    return Records(
        where=where,
        size=ends[-1],
        columns={
            column: [value for part in sets for value in _values(part, column)]
            for column, kind in features.items()
            if column != image
            and not isinstance(kind, datasets.Image | datasets.Audio | datasets.Video)
        },
        parts=divided or None,
        name=lambda row: file(row).get("path") or f"row {row + 1}",
        content=content,
    )


def _parts(splits: dict[str, Any], where: str) -> list[tuple[Part | None, Any]]:
    """The splits whose rows make the table, one after the other, and what each is for.

    A lone split is for nothing in particular. Of several, those whose names say nothing are not
    used.
    """
    named = [(part, name) for name in splits if (part := part_of(name)) is not None]
    if len(splits) == 1 or not named:
        chosen: list[tuple[Part | None, str]] = [(None, next(iter(splits)))]
    else:
        order = ("train", "validation", "test")
        chosen = [*sorted(named, key=lambda pair: order.index(pair[0]))]
    unused = [name for name in splits if name not in [name for _, name in chosen]]
    if unused:
        say(f"{where}: the splits {', '.join(unused)} are not used")
    if len(chosen) == 1:
        chosen = [(None, chosen[0][1])]
    return [(part, splits[name]) for part, name in chosen]


def load_splits(name: str) -> dict[str, Any]:
    """Load a dataset's splits, by name; an error says what to run where there is a network."""
    import datasets

    try:
        if Path(name).is_dir() and any(Path(name).glob("*.json")):
            loaded = datasets.load_from_disk(name)
        elif name.endswith(".parquet"):
            loaded = datasets.load_dataset("parquet", data_files=name)
        else:
            loaded = datasets.load_dataset(name)
    except (OSError, ValueError) as error:
        # The library raises ConnectionError, DatasetNotFoundError (an OSError), … by its cause.
        save = f"datasets.load_dataset('{name}').save_to_disk('copy')"
        raise InputError(
            f"data.source: the dataset {name!r} cannot be loaded "
            f"({type(error).__name__}: {error}). Without a network: where there is one, run\n"
            f'  python -c "import datasets; {save}"\n'
            'bring the directory here, and set data.source = "hf:copy"'
        ) from error
    return dict(loaded) if isinstance(loaded, dict) else {"train": loaded}


def _values(part: Any, column: str) -> list[object]:
    """A column's values; class labels by name."""
    names = getattr(part.features[column], "names", None)
    values = list(part[column])
    if names is None:
        return values
    return [None if value is None or value < 0 else names[value] for value in values]
