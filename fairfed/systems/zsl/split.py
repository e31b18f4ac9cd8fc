"""Which classes are trained on, validate and test, and which client holds which rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fairfed.config.zsl import ZslSettings
from fairfed.systems.zsl.table import FeatureTable
from semantic.attributes import AttributeTable
from semantic.composable import rank_candidates
from semantic.errors import InputError

Rows = npt.NDArray[np.int64]

VALIDATION_SHARE = 0.1
"""Share of the training rows of each trained class that the server keeps, to select the round."""
_STREAM = 31


@dataclass(frozen=True)
class Classes:
    """Positions of classes by role, ascending and apart."""

    trained: tuple[int, ...]
    validation: tuple[int, ...]
    unseen: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Split:
    """Who holds what."""

    classes: Classes  # roles of the classes
    # For each client, its classes: every trained class is at exactly one client
    blocks: tuple[tuple[int, ...], ...]
    train: tuple[Rows, ...]  # for each client, its rows
    # Rows of trained classes and of validation classes that select the round; no test row is among
    # them. Both empty where there is no validation class.
    validation_seen: Rows
    validation_unseen: Rows
    # Test rows of trained and of unseen classes
    test_seen: Rows
    test_unseen: Rows


def split_classes(table: FeatureTable, attributes: AttributeTable, zsl: ZslSettings) -> Classes:
    """Roles of the classes: as configured, as the data proposes, or by the composable rule.

    The rule takes the class whose attributes the classes that remain teach best, given those
    already held out (`semantic.composable.rank_candidates`). A named class that is not there, or
    none left to train on, is refused.
    """
    _known(table, zsl)
    unseen = zsl.unseen or table.unseen
    if not unseen:
        unseen = _by_rule(attributes, (), zsl.n_unseen)
    validation = zsl.validation
    if not validation and zsl.n_validation:
        proposed = tuple(name for name in table.validation if name not in unseen)
        validation = proposed or _by_rule(attributes, unseen, zsl.n_validation)
    held = {*unseen, *validation}
    if len(unseen) < 2:
        raise InputError(
            f"zsl.unseen: only {', '.join(unseen)}; the accuracy among unseen classes needs two"
        )
    return Classes(
        trained=tuple(i for i, name in enumerate(table.classes) if name not in held),
        validation=tuple(sorted(map(table.classes.index, set(validation)))),
        unseen=tuple(sorted(map(table.classes.index, set(unseen)))),
    )


def _known(table: FeatureTable, zsl: ZslSettings) -> None:
    for field in ("unseen", "validation"):
        lacking = [name for name in getattr(zsl, field) if name not in table.classes]
        if lacking:
            raise InputError(
                f"zsl.{field}: there is no class {lacking[0]!r}; the data has "
                f"{', '.join(table.classes)}"
            )


def _by_rule(table: AttributeTable, fixed: Sequence[str], count: int) -> tuple[str, ...]:
    chosen: list[str] = []
    if len(table.classes) <= len(fixed) + count:
        raise InputError(
            f"{len(fixed) + count} of {len(table.classes)} classes are held out; lower "
            "zsl.n_unseen or zsl.n_validation"
        )
    for _ in range(count):
        held = [*fixed, *chosen]
        others = [name for name in table.classes if name not in held]
        chosen.append(rank_candidates(table, held, others)[0].class_name)
    return tuple(chosen)


def blocks_of(classes: Sequence[int], clients: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Trained classes, permuted and cut into blocks for the clients, equal up to one class."""
    if clients > len(classes):
        raise InputError(
            f"partition.clients is {clients}, but only {len(classes)} classes are trained on and "
            "every client has its own; lower it"
        )
    permuted = np.random.default_rng([seed, _STREAM]).permutation(np.array(classes))
    return tuple(tuple(block.tolist()) for block in np.array_split(permuted, clients))


def split_rows(table: FeatureTable, classes: Classes, clients: int, seed: int) -> Split:
    """Divide the rows among clients and purposes; no class may lack what its role needs."""
    blocks = blocks_of(classes.trained, clients, seed)
    kept = {c: _held_back(table, c, bool(classes.validation), seed) for c in classes.trained}
    own = {c: np.setdiff1d(rows_of(table, [c], test=False), kept[c]) for c in classes.trained}
    found = Split(
        classes=classes,
        blocks=blocks,
        train=tuple(np.sort(np.concatenate([own[c] for c in block])) for block in blocks),
        validation_seen=np.sort(np.concatenate([kept[c] for c in classes.trained])),
        validation_unseen=rows_of(table, classes.validation, test=False),
        test_seen=rows_of(table, classes.trained, test=True),
        test_unseen=rows_of(table, classes.unseen, test=True),
    )
    _check(table, found, own)
    return found


def rows_of(table: FeatureTable, classes: Sequence[int], *, test: bool) -> Rows:
    """Rows of some classes that are, or are not, for testing only."""
    found: Rows = np.flatnonzero(np.isin(table.labels, classes) & (table.test == test))
    return found


def _held_back(table: FeatureTable, label: int, validating: bool, seed: int) -> Rows:
    """Rows of a trained class that no client gets: a seeded tenth, at least one, or none."""
    rows = rows_of(table, [label], test=False)
    if not validating:
        return rows[:0]
    count = max(1, round(VALIDATION_SHARE * len(rows)))
    return np.random.default_rng([seed, _STREAM, label]).permutation(rows)[:count]


def _check(table: FeatureTable, found: Split, own: dict[int, Rows]) -> None:
    """Every role needs rows of each of its classes, or a mean over classes has a hole."""
    roles = (
        ("training", found.classes.trained, np.concatenate([own[c] for c in own])),
        ("test", found.classes.trained, found.test_seen),
        ("test", found.classes.unseen, found.test_unseen),
        ("validation", found.classes.validation, found.validation_unseen),
    )
    for role, classes, rows in roles:
        lacking = sorted(set(classes) - set(table.labels[rows].tolist()))
        if lacking:
            raise InputError(f"class {table.classes[lacking[0]]!r} has no {role} row")
