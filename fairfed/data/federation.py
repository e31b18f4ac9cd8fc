"""The federation's rows, divided among its clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fairfed.config.source import FASHION
from fairfed.data.load import load_images
from fairfed.data.partition import partition_rows
from fairfed.data.table import ImageTable, LabelledTable
from fairfed.data.tint import draw_tints, shade

if TYPE_CHECKING:
    from fairfed.config import Config, DataConfig


@dataclass(frozen=True, eq=False)
class Federation:
    """Rows, and who holds which."""

    table: LabelledTable  # all rows
    # For each client, its rows of `table`, in ascending order.
    train: tuple[npt.NDArray[np.int64], ...]
    test: tuple[npt.NDArray[np.int64], ...]
    names: tuple[str, ...]  # the clients' names

    def train_cells(self) -> npt.NDArray[np.int64]:
        """Training rows by cell: ``[n_clients, n_classes, n_groups]``."""
        return np.stack([self.table.cells(rows) for rows in self.train])


@dataclass(frozen=True, eq=False)
class FederatedImages(Federation):
    """Images, and who holds which."""

    table: ImageTable


def shade_if_asked(
    table: ImageTable,
    clients: Sequence[npt.NDArray[np.int64]],
    data: DataConfig,
    seed: int,
    even: bool = False,
) -> ImageTable:
    """The table, in tints where the configuration asks for them; `even`: in equal shares."""
    if data.source in FASHION and data.tint.enabled and "tint" in data.sensitive:
        alpha, correlation = (None, None) if even else (data.tint.alpha, data.tint.correlation)
        tints = draw_tints(table, clients, alpha, seed, correlation)
        return shade(table, tints)
    return table


def divide(
    table: LabelledTable, config: Config, iid: bool
) -> tuple[tuple[str, ...], list[npt.NDArray[np.int64]]]:
    """The clients' names and rows; with `iid`, as many clients with equal shares of each class."""
    names, rows = partition_rows(table, config.partition, config.seed)
    if not iid:
        return names, rows
    update = {"name": "iid", "clients": len(rows), "options": {}}
    return partition_rows(table, config.partition.model_copy(update=update), config.seed)


def load_undivided(config: Config) -> ImageTable:
    """Load the images, shaded evenly where they are shaded, for clients that differ in classes.

    Shaded as clients are, images would give away by their tint whose they are. Raises `InputError`
    if the data is not as the configuration says.
    """
    table = load_images(config)
    everybody = [np.arange(len(table), dtype=np.int64)]
    return shade_if_asked(table, everybody, config.data, config.seed, even=True)


def load_federation(config: Config, iid: bool = False) -> FederatedImages:
    """Load the images, divide them among the clients, and shade them where that is configured.

    With `iid` the same images go to as many clients with equal shares of each class (and each tint
    at a client): the ceiling. Test images are the same pixels with and without it. Raises
    `InputError` if the data or its division is not as the configuration says.
    """
    table = load_images(config)
    names, rows = divide(table, config, iid)
    table = shade_if_asked(table, rows, config.data, config.seed, iid)
    return FederatedImages(
        table=table,
        train=tuple(part[~table.test[part]] for part in rows),
        test=tuple(part[table.test[part]] for part in rows),
        names=names,
    )
