"""Readers of class × attribute tables: CSV, TOML, the AwA2 folder, and xlsa17's `att_splits.mat`.

Every reader brings values to [0, 1] and names the file and the place of what is wrong. Values in
percent (AwA2's continuous matrix, xlsa17's `original_att`) are divided by 100; a missing value
(−1 there, an absent key in TOML) becomes 0: nobody says that the class has the attribute.
"""

from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from semantic.arrays import Floats
from semantic.errors import InputError

MISSING = -1
"""Stands for "not known" in AwA2's continuous matrix."""

SPLITS_FILE = "att_splits.mat"
AWA_MATRICES = ("predicate-matrix-continuous.txt", "predicate-matrix-binary.txt")


class Content(NamedTuple):
    """What a file holds, in the order of `semantic.attributes.AttributeTable`'s fields."""

    classes: tuple[str, ...]
    prompts: tuple[str, ...]
    attributes: tuple[str, ...]
    values: Floats


def read_table(path: Path) -> Content:
    """Read a table in the format that its path says: a folder, `.toml`, `.mat`, or else CSV."""
    if path.is_dir():
        splits = path / SPLITS_FILE
        return read_splits(splits) if splits.is_file() else read_awa(path)
    if not path.is_file():
        raise InputError(
            f"attribute table {path} does not exist; give 'bundled', a CSV or TOML file, the "
            f"folder of AwA2, or xlsa17's {SPLITS_FILE}"
        )
    readers = {".toml": read_toml, ".mat": read_splits}
    return readers.get(path.suffix.lower(), read_csv)(path)


def spoken(name: str) -> str:
    """How a data set's name is said in a prompt: `005.grizzly+bear` becomes `grizzly bear`."""
    return re.sub(r"[+_]+", " ", re.sub(r"^\d+\.", "", name)).strip().lower()


def read_csv(path: Path) -> Content:
    """Read `class,prompt` and one column per attribute; an empty prompt is the class's name."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            header, *rows = [row for row in csv.reader(handle) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is no CSV text in UTF-8: {error}") from error
    if header[:2] != ["class", "prompt"]:
        raise InputError(f"{path}: the header must begin with 'class,prompt', found {header[:2]}")
    if not rows:
        raise InputError(f"{path}: no class below the header; add one row per class")
    values = np.array([_csv_row(path, line, header, row) for line, row in enumerate(rows, start=2)])
    classes = tuple(row[0].strip() for row in rows)
    prompts = tuple(row[1].strip() or spoken(row[0]) for row in rows)
    return Content(classes, prompts, tuple(header[2:]), values)


def _csv_row(path: Path, line: int, header: list[str], row: list[str]) -> list[float]:
    if len(row) != len(header):
        raise InputError(f"{path}, line {line}: {len(row)} fields, the header has {len(header)}")
    return [
        _share(text, f"{path}, line {line}, column {name!r}")
        for name, text in zip(header[2:], row[2:], strict=True)
    ]


def _share(value: Any, place: str) -> float:
    """A value in [0, 1], from text or a number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise InputError(f"{place}: {value!r} is no value in [0, 1]")
    return number


def read_toml(path: Path) -> Content:
    """Read one table ``[classes."NAME"]`` per class with `prompt` and `attributes`, both optional.

    Attributes keep the order in which they are first named; one that a class does not name is 0.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is no TOML text in UTF-8: {error}") from error
    classes = content.get("classes")
    if set(content) != {"classes"} or not isinstance(classes, dict) or not classes:
        raise InputError(
            f'{path}: expected tables [classes."NAME"] and nothing else at the top, found '
            f"{', '.join(content) or 'nothing'}"
        )
    rows = {name: _toml_class(f"{path}, class {name!r}", entry) for name, entry in classes.items()}
    attributes = tuple(dict.fromkeys(a for _, values in rows.values() for a in values))
    values = [[found.get(a, 0.0) for a in attributes] for _, found in rows.values()]
    prompts = tuple(prompt or spoken(name) for name, (prompt, _) in rows.items())
    return Content(tuple(rows), prompts, attributes, np.array(values, dtype=np.float64))


def _toml_class(place: str, entry: Any) -> tuple[str, dict[str, float]]:
    """Prompt and attribute values of one class."""
    if not isinstance(entry, dict) or set(entry) - {"prompt", "attributes"}:
        raise InputError(f"{place}: expected a table with the keys 'prompt' and 'attributes'")
    prompt, attributes = entry.get("prompt", ""), entry.get("attributes", {})
    if not isinstance(prompt, str):
        raise InputError(f"{place}: prompt must be a text, found {prompt!r}")
    if not isinstance(attributes, dict):
        raise InputError(f"{place}: attributes must be a table, as {{ laces = 0.6 }}")
    return prompt.strip(), {
        name: _share(value, f"{place}, attribute {name!r}") for name, value in attributes.items()
    }


def read_awa(folder: Path) -> Content:
    """Read the folder of Animals with Attributes 2 (Xian et al., TPAMI 2018).

    `classes.txt` and `predicates.txt` hold a number and a name a line. Values come from
    `predicate-matrix-continuous.txt` (0 to 100, −1 for missing), else from
    `predicate-matrix-binary.txt` (0 and 1).
    """
    classes = _numbered_names(folder / "classes.txt")
    attributes = _numbered_names(folder / "predicates.txt")
    present = [folder / name for name in AWA_MATRICES if (folder / name).is_file()]
    if not present:
        raise InputError(f"{folder} holds neither {' nor '.join(AWA_MATRICES)}")
    top = 100.0 if present[0].name == AWA_MATRICES[0] else 1.0
    lines = _lines(present[0])
    if len(lines) != len(classes):
        raise InputError(
            f"{present[0]}: {len(lines)} rows for the {len(classes)} classes of classes.txt"
        )
    values = [_awa_row(present[0], i, line, attributes) for i, line in enumerate(lines, start=1)]
    rescaled = _rescaled(np.array(values), top, present[0], classes, attributes)
    return Content(classes, tuple(map(spoken, classes)), tuple(map(spoken, attributes)), rescaled)


def _awa_row(path: Path, number: int, line: str, attributes: tuple[str, ...]) -> list[float]:
    try:
        row = [float(text) for text in line.split()]
    except ValueError as error:
        raise InputError(f"{path}, row {number}: {error}") from error
    if len(row) != len(attributes):
        raise InputError(
            f"{path}, row {number}: {len(row)} values for {len(attributes)} attributes"
        )
    return row


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise InputError(f"{path} does not exist; an AwA2 folder holds it")
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8: {error}") from error


def _numbered_names(path: Path) -> tuple[str, ...]:
    """Names of lines such as ``1  grizzly+bear``."""
    names = []
    for number, line in enumerate(_lines(path), start=1):
        fields = line.split(maxsplit=1)
        if len(fields) != 2 or not fields[0].isdigit():
            raise InputError(f"{path}, line {number}: expected a number and a name, found {line!r}")
        names.append(fields[1].strip())
    return tuple(names)


def read_mat(path: Path) -> dict[str, Any]:
    """Variables of a MATLAB file."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        content: dict[str, Any] = loadmat(path)
    except (MatReadError, ValueError, NotImplementedError, TypeError, OSError) as error:
        raise InputError(f"{path} is no MATLAB file up to version 7: {error}") from error
    return content


def read_splits(path: Path) -> Content:
    """Read the attributes of xlsa17's `att_splits.mat` (Xian et al., TPAMI 2018).

    `original_att` holds the values, in percent or in [0, 1]. Where only `att` is there, each
    class's vector has length 1 and its scale is lost: it is divided by its largest value, so that
    the class's strongest attribute has 1. The file names no attribute: the names come from a
    `predicates.txt` beside it, else they are `attribute 1`, `attribute 2`, …
    """
    content = read_mat(path)
    key = next((name for name in ("original_att", "att") if name in content), None)
    if key is None or "allclasses_names" not in content:
        raise InputError(f"{path}: expected allclasses_names and original_att or att in it")
    classes = tuple(str(np.squeeze(cell)) for cell in content["allclasses_names"].ravel())
    values = np.asarray(content[key], dtype=np.float64).T
    if values.ndim != 2 or len(values) != len(classes):
        raise InputError(
            f"{path}: {key} is {content[key].shape}, expected [n_attributes, {len(classes)}], "
            "one column for each of allclasses_names"
        )
    attributes = _split_attributes(path, values.shape[1])
    if key == "att":
        values = np.maximum(values, 0)
        values = values / np.maximum(values.max(axis=1, keepdims=True), np.finfo(float).tiny)
    top = 100.0 if values.max(initial=0) > 1 else 1.0
    rescaled = _rescaled(values, top, path, classes, attributes)
    return Content(classes, tuple(map(spoken, classes)), attributes, rescaled)


def _split_attributes(path: Path, count: int) -> tuple[str, ...]:
    names = path.with_name("predicates.txt")
    if not names.is_file():
        return tuple(f"attribute {number}" for number in range(1, count + 1))
    attributes = tuple(map(spoken, _numbered_names(names)))
    if len(attributes) != count:
        raise InputError(f"{names}: {len(attributes)} names for the {count} attributes of {path}")
    return attributes


def _rescaled(
    values: Floats,
    top: float,
    path: Path,
    classes: tuple[str, ...],
    attributes: tuple[str, ...],
) -> Floats:
    """Values from [0, top] to [0, 1], missing ones to 0."""
    known = np.where(values == MISSING, 0, values)
    wrong = np.argwhere(~((known >= 0) & (known <= top)))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"{path}, class {classes[row]!r}, attribute {attributes[column]!r}: "
            f"{values[row, column]:g} is no value in [0, {top:g}]"
        )
    rescaled: Floats = known / top
    return rescaled
