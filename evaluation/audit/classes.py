"""The order of classes, and which of two is the positive one.

Both are functions of the names alone, so that parts of the data that are counted apart agree. What
the names do not say is never guessed: see `evaluation.audit.vocabulary.check_positive`.
"""

from __future__ import annotations

from collections.abc import Iterable

from evaluation.audit.labels import is_number

PAIRS = (
    ("no", "yes"),
    ("n", "y"),
    ("false", "true"),
    ("f", "t"),
    ("negative", "positive"),
    ("neg", "pos"),
    ("absent", "present"),
    ("benign", "malignant"),
    ("-", "+"),
)
"""Names in lower case, the second of which everybody takes for the positive one."""
NEGATIONS = tuple(f"{word}{mark}" for word in ("not", "no", "non") for mark in (" ", "-", "_"))
"""What makes of a class its absence: "not hired" beside "hired"."""


def implied_positive(names: Iterable[str]) -> str | None:
    """The positive one of two classes where their names say it; None otherwise.

    The higher of two numbers, the second of a pair of `PAIRS`, and what the other one negates.

    >>> [implied_positive(pair) for pair in (("10", "2"), ("Yes", "No"), ("hired", "not hired"))]
    ['10', 'Yes', 'hired']
    >>> implied_positive(("cat", "dog"))
    """
    two = sorted(set(names))
    if len(two) != 2:
        return None
    if all(map(is_number, two)):
        return max(two, key=float)
    folded = {name.casefold(): name for name in two}
    for negative, positive in PAIRS:
        if set(folded) == {negative, positive}:
            return folded[positive]
    return next(
        (folded[own] for own in folded for word in NEGATIONS if f"{word}{own}" in folded), None
    )


def ordered_classes(names: Iterable[str], positive: str | None) -> tuple[str, ...]:
    """Classes in the order of a schema: by number or name, the positive one last.

    >>> ordered_classes(("10", "9", "2"), None), ordered_classes(("hired", "not hired"), None)
    (('2', '9', '10'), ('not hired', 'hired'))
    """
    found = set(names)
    last = implied_positive(found) if positive is None else positive
    numeric = all(map(is_number, found))
    return tuple(
        sorted(found, key=lambda name: (name == last, float(name) if numeric else 0.0, name))
    )
