"""Which unseen combinations of a class and a group can be composed from the seen ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from semantic.composable import MINIMUM
from semantic.naming import CROSSED


@dataclass(frozen=True)
class CellComposability:
    """What the seen cells can say about one unseen combination of class and group.

    The class must have been seen in at least two other groups, so that its name implies none; where
    the data has one other group only, that one is enough. Each value of the group (`young × red`
    has two) must have been seen in at least two other classes, one of which was also seen without
    it, so that the value implies no class. `groups` are the other groups in which the class was
    seen, `classes` the other classes in which each value of the group was; `reason` is a sentence
    for the user.
    """

    class_name: str
    group: str
    groups: tuple[str, ...]
    classes: dict[str, tuple[str, ...]]
    composable: bool
    reason: str


def cell_composability(
    cell: tuple[str, str], seen: Collection[tuple[str, str]], minimum: int = MINIMUM
) -> CellComposability:
    """Judge an unseen (class, group), by name, by the rule of `CellComposability`.

    `seen` are combinations with images; `minimum` other groups and other classes are wanted.
    """
    name, group = cell
    others = {g for _, g in seen if g != group}
    groups = tuple(sorted({g for c, g in seen if c == name and g != group}))
    values = group.split(CROSSED)
    classes = {value: _classes(value, name, seen) for value in values}
    needed = min(minimum, max(1, len(others)))
    reasons = [_value_reason(value, classes[value], seen, minimum) for value in values]
    if len(groups) < needed:
        reasons.insert(0, f"it was seen in {len(groups)} other groups, {needed} are needed")
    wrong = [reason for reason in reasons if reason]
    verdict = f"not composable: {'; '.join(wrong)}" if wrong else "composable"
    if not wrong and len(groups) < minimum:
        verdict += ", but weakly: the class was seen in one other group only"
    return CellComposability(
        name, group, groups, classes, not wrong, f"{name} × {group} is {verdict}."
    )


def _classes(value: str, but: str, seen: Collection[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted({c for c, g in seen if c != but and value in g.split(CROSSED)}))


def _value_reason(
    value: str, classes: tuple[str, ...], seen: Collection[tuple[str, str]], minimum: int
) -> str:
    """Why a group's value cannot be told from the classes in which it was seen; empty if it can."""
    if len(classes) < minimum:
        return f"{value!r} was seen in {len(classes)} other classes, {minimum} are needed"
    if not any(c in classes and value not in g.split(CROSSED) for c, g in seen):
        return f"no other class was seen both with {value!r} and without it"
    return ""
