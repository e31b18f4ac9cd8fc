"""The class × attribute table: mid-level semantics of each class, as data.

A CSV file with one row per class: its name (`class`), how it is called in a prompt (`prompt`), then
one column per attribute phrase with a value in [0, 1], how typical the attribute is of the class.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semantic.errors import InputError

BUNDLED_TABLE = Path(str(files("semantic") / "bundled" / "fashion_mnist.csv"))
"""The table of Fashion-MNIST that comes with the package."""

TYPICAL = 0.5
"""An attribute counts as a class's own from this value on."""


@dataclass(frozen=True)
class AttributeTable:
    """Classes, what they are called in prompts, and their attributes.

    Attributes
    ----------
    classes
        Class names, as in the data.
    prompts
        For each class, its noun in a prompt.
    attributes
        Attribute phrases.
    values
        ``[n_classes, n_attributes]`` in [0, 1].
    """

    classes: tuple[str, ...]
    prompts: tuple[str, ...]
    attributes: tuple[str, ...]
    values: npt.NDArray[np.float64]

    def row(self, class_name: str) -> int:
        """Position of a class.

        Raises
        ------
        InputError
            If the table has no such class.
        """
        if class_name not in self.classes:
            raise InputError(
                f"class {class_name!r} is in no row of the attribute table; it has "
                f"{', '.join(self.classes)}. Add a row for it to the CSV file."
            )
        return self.classes.index(class_name)

    def noun(self, class_name: str) -> str:
        """What the class is called in a prompt."""
        return self.prompts[self.row(class_name)]

    def phrases(self, class_name: str) -> tuple[str, ...]:
        """Attribute phrases typical of the class (value of at least `TYPICAL`)."""
        own = self.values[self.row(class_name)] >= TYPICAL
        return tuple(a for a, has in zip(self.attributes, own, strict=True) if has)


def table_from_names(classes: tuple[str, ...]) -> AttributeTable:
    """Table without attributes, for classes that are known by name only."""
    nouns = tuple(name.replace("_", " ").lower() for name in classes)
    return AttributeTable(classes, nouns, (), np.zeros((len(classes), 0)))


def load_attributes(source: str | Path = "bundled") -> AttributeTable:
    """Read a class × attribute table.

    Parameters
    ----------
    source
        `"bundled"` for Fashion-MNIST's, or the path of a CSV file.

    Raises
    ------
    InputError
        If the file is missing or a row or value is malformed; names file, row and column.
    """
    path = BUNDLED_TABLE if str(source) == "bundled" else Path(source)
    if not path.is_file():
        raise InputError(f"attribute table {path} does not exist; give a CSV file or 'bundled'")
    with path.open(newline="", encoding="utf-8-sig") as handle:
        header, *rows = [row for row in csv.reader(handle) if row] or [[]]
    if header[:2] != ["class", "prompt"]:
        raise InputError(f"{path}: the header must begin with 'class,prompt', found {header[:2]}")
    if not rows:
        raise InputError(f"{path}: no class below the header; add one row per class")
    values = np.array([_values(path, line, header, row) for line, row in enumerate(rows, start=2)])
    classes = tuple(row[0].strip() for row in rows)
    twice = sorted({name for name in classes if classes.count(name) > 1})
    if twice:
        raise InputError(f"{path}: class {twice[0]!r} has more than one row; keep one")
    prompts = tuple(row[1].strip() or row[0].strip().lower() for row in rows)
    return AttributeTable(classes, prompts, tuple(header[2:]), values)


def _values(path: Path, line: int, header: list[str], row: list[str]) -> list[float]:
    if len(row) != len(header):
        raise InputError(f"{path}, line {line}: {len(row)} fields, the header has {len(header)}")
    numbers = []
    for name, text in zip(header[2:], row[2:], strict=True):
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not 0 <= number <= 1:
            raise InputError(
                f"{path}, line {line}, column {name!r}: {text!r} is no value in [0, 1]"
            )
        numbers.append(number)
    return numbers
