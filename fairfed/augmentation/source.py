"""The data that is augmented: its table, and an identity that shows when it has changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fairfed.config import PipelineConfig
from fairfed.config.labels import refuse_crossed
from fairfed.data import ImageTable, load_images
from fairfed.data.federation import shade_if_asked
from semantic.errors import InputError
from semantic.memory import SemanticMemory, remember
from semantic.naming import CROSSED
from semantic.sight import without
from semantic.space import CellScorer, known_groups


@dataclass(frozen=True, eq=False)
class Source:
    """Real images, with declared classes and groups that none of them shows."""

    table: ImageTable  # the images; `classes` and `group_names` include declared ones
    digest: str  # SHA-256 over everything that the table holds
    # The same with all sensitive values, where `table` has forgotten some
    # (`fairfed.sites.sight.forget`)
    as_given: ImageTable
    # Of each group, the position of the one that says nothing of columns which prompts leave out;
    # empty where they name all, or where these columns are forgotten.
    joined: tuple[int, ...] = ()

    @property
    def spoken(self) -> dict[str, str]:
        """What prompts say of each group (`semantic.space.SemanticSpace.spoken`)."""
        names = self.table.group_names
        return {name: names[i] for name, i in zip(names, self.joined, strict=False)}

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

    def rows_of(self, label: int, group: int) -> npt.NDArray[np.int64]:
        """Training rows of a cell."""
        train = self.train
        here = (self.table.labels[train] == label) & (self.table.groups[train] == group)
        return np.asarray(train[here])

    @property
    def nameable(self) -> npt.NDArray[np.bool_]:
        """Which groups can be asked for, ``[n_groups]``: not those with an unknown value."""
        return known_groups(self.table.group_names)


def with_unsaid(given: Source, hidden: tuple[int, ...]) -> Source:
    """The source with further groups, of which nothing is said of some sensitive columns.

    The images keep their groups; `hidden` are positions of columns.
    """
    names = given.table.group_names
    every = tuple(dict.fromkeys((*names, *(without(name, hidden) for name in names))))
    joined = tuple(every.index(without(name, hidden)) for name in every)
    return replace(given, table=replace(given.table, group_names=every), joined=joined)


def load_source(config: PipelineConfig) -> Source:
    """Load the data of a configuration; refused where it holds synthetic images already."""
    # Images that were made from this data would be copied as real ones.
    data = config.data.model_copy(update={"synthetic": "error"})
    table = load_images(config.model_copy(update={"data": data}))
    table = shade_if_asked(table, [np.arange(len(table))], config.data, config.seed)
    for name in config.synthesis.classes:
        refuse_crossed(name, "synthesis.classes: the class")
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


def _digest(table: ImageTable) -> str:
    total = hashlib.sha256(repr((table.classes, table.group_names, table.clients)).encode())
    for array in (table.images, table.labels, table.groups, table.test):
        total.update(repr(array.shape).encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def memory_of(scorer: CellScorer, source: Source) -> SemanticMemory:
    """Memory of the classes that have training images; the table may know others, too."""
    space = scorer.space
    seen = tuple(n for n, real in zip(space.classes, source.cells.sum(1), strict=True) if real)
    return remember(scorer.encoder, space.table.of(space.classes), seen)
