"""The data that is augmented: its table, and an identity that shows when it has changed."""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairfed.config import PipelineConfig
from fairfed.data import ImageTable, load_images
from fairfed.data.federation import shade_if_asked
from fairfed.data.folder import METADATA
from fairfed.data.table import MISSING
from semantic.errors import InputError
from semantic.space import CROSSED

SYNTHETIC = "synthetic"
"""Column that tells synthetic rows of an image folder from real ones."""


@dataclass(frozen=True, eq=False)
class Source:
    """Real images, with declared classes and groups that none of them shows.

    Attributes
    ----------
    table
        The images; `classes` and `group_names` include declared ones.
    digest
        SHA-256 over everything that the table holds.
    as_given
        The same with all sensitive values, where `table` has forgotten some
        (`fairfed.sight.forget`).
    """

    table: ImageTable
    digest: str
    as_given: ImageTable

    @property
    def train(self) -> npt.NDArray[np.int64]:
        """Rows to train on."""
        return np.flatnonzero(~self.table.test)

    @property
    def test(self) -> npt.NDArray[np.int64]:
        """Rows to test on."""
        return np.flatnonzero(self.table.test)

    @property
    def cells(self) -> npt.NDArray[np.int64]:
        """Training images by cell: ``[n_classes, n_groups]``."""
        return self.table.cells(self.train)

    @property
    def nameable(self) -> npt.NDArray[np.bool_]:
        """Which groups can be asked for, ``[n_groups]``: not those with an unknown value."""
        return np.array([MISSING not in g.split(CROSSED) for g in self.table.group_names])


def load_source(config: PipelineConfig) -> Source:
    """Load the data of a configuration.

    Raises
    ------
    semantic.errors.InputError
        If the data is not as the configuration says, or holds synthetic images already.
    """
    _refuse_synthetic(config)
    table = load_images(config)
    table = shade_if_asked(table, [np.arange(len(table))], config.data, config.seed)
    for group in config.synthesis.groups:
        _check_group(group, config.data.sensitive)
    table = replace(
        table,
        classes=_extended(table.classes, config.synthesis.classes),
        group_names=_extended(table.group_names, config.synthesis.groups),
    )
    return Source(table, _digest(table), table)


def _extended(names: tuple[str, ...], declared: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*names, *declared)))


def _check_group(group: str, sensitive: tuple[str, ...]) -> None:
    values = [value.strip() for value in group.split(CROSSED)]
    if len(values) != len(sensitive) or not all(values):
        expected = CROSSED.join(sensitive) or "no group: data.sensitive is empty"
        raise InputError(
            f"synthesis.groups: {group!r} has {len(values)} values, expected one of each sensitive "
            f"column ({expected})"
        )


def _refuse_synthetic(config: PipelineConfig) -> None:
    """Refuse a folder with synthetic rows: they would be copied as real ones."""
    folder = Path(config.data.source)
    for path in (folder / part / METADATA for part in ("", "train", "test")):
        if not path.is_file():
            continue
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as lines:
            for number, row in enumerate(csv.DictReader(lines), start=1):
                if str(row.get(SYNTHETIC, "")).strip().lower() == "true":
                    raise InputError(
                        f"{path}: row {number} is synthetic; augment the folder of real images "
                        "that it was made from"
                    )


def _digest(table: ImageTable) -> str:
    total = hashlib.sha256(repr((table.classes, table.group_names, table.clients)).encode())
    for array in (table.images, table.labels, table.groups, table.test):
        total.update(repr(array.shape).encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
