"""The class × attribute table: mid-level semantics of each class, as data.

Written as CSV with one row per class: its name (`class`), how it is called in a prompt (`prompt`),
then one column per attribute phrase with a value in [0, 1], how typical the attribute is of the
class. `semantic.formats` lists what else can be read.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np

from semantic.arrays import Floats
from semantic.errors import InputError
from semantic.files import written_whole
from semantic.formats import read_table

BUNDLED_TABLE = Path(str(files("semantic") / "bundled" / "fashion_mnist.csv"))
"""The table of Fashion-MNIST that comes with the package."""

TYPICAL = 0.5
"""An attribute counts as a class's own from this value on."""


@dataclass(frozen=True)
class AttributeTable:
    """Classes, as in the data, what they are called in prompts, and their attributes.

    `values` are ``[n_classes, n_attributes]`` in [0, 1].
    """

    classes: tuple[str, ...]
    prompts: tuple[str, ...]
    attributes: tuple[str, ...]
    values: Floats

    def row(self, class_name: str) -> int:
        """Position of a class, which the table must have."""
        if class_name not in self.classes:
            raise InputError(
                f"class {class_name!r} is in no row of the attribute table; it has "
                f"{', '.join(self.classes)}. Add a row for it to a table of your own "
                "(semantic.attributes), or call classes by their names ('names')"
            )
        return self.classes.index(class_name)

    def noun(self, class_name: str) -> str:
        """What the class is called in a prompt."""
        return self.prompts[self.row(class_name)]

    def of(self, classes: tuple[str, ...]) -> AttributeTable:
        """The rows of these classes alone, in this order."""
        rows = [self.row(name) for name in classes]
        prompts = tuple(self.prompts[row] for row in rows)
        return AttributeTable(classes, prompts, self.attributes, self.values[rows])

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
        `"bundled"` for Fashion-MNIST's; or the path of a CSV or TOML file, of the folder of AwA2,
        or of xlsa17's `att_splits.mat` (see `semantic.formats`).

    Raises
    ------
    InputError
        If the file is missing or a row or value is malformed; names file, row and column.
    """
    path = BUNDLED_TABLE if str(source) == "bundled" else Path(source)
    table = AttributeTable(*read_table(path))
    for kind, names in (("class", table.classes), ("attribute", table.attributes)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{path}: {kind} {twice[0]!r} is there more than once; keep one")
        if "" in names:
            raise InputError(f"{path}: {kind} {names.index('') + 1} has no name; give it one")
    return table


def write_table(table: AttributeTable, path: Path) -> None:
    """Write a table as CSV, whole or not at all; `load_attributes` reads the same values back."""
    with written_whole(path) as draft, draft.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["class", "prompt", *table.attributes])
        for name, prompt, values in zip(table.classes, table.prompts, table.values, strict=True):
            writer.writerow([name, prompt, *(repr(value) for value in values.tolist())])
