"""Which unseen classes can be composed from what was seen, said before anything is made.

A text-conditioned generator can show a class that it never saw only through phrases that it has
learnt. A phrase is learnt when it occurs in at least two seen classes in different company: one
that occurs in none is untrained, and one that occurs in a single class means that class. The check
follows from the table alone and looks at no generated image. The idea is the classical condition of
zero-shot learning by attributes (Lampert et al., "Attribute-based classification for zero-shot
visual object categorization", TPAMI 2014): train and test classes share their attributes, and the
attributes tell the classes apart.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from semantic.arrays import Flags, Floats
from semantic.attributes import TYPICAL, AttributeTable
from semantic.errors import InputError
from semantic.measures import WORDS

MINIMUM = 2
"""So many seen classes in different company teach a phrase."""


OCCURS = 0.05
"""A measured word occurs in a class when at least this share of its images deserve it."""

WordFrequencies = Mapping[str, Mapping[str, float]]
"""Class name → measured word → share of the class's images, in [0, 1]."""


@dataclass(frozen=True)
class Composability:
    """What the seen classes can say about one unseen class.

    Attributes
    ----------
    class_name
        The unseen class.
    carriers
        For each of its typical attributes, the seen classes in which it occurs.
    uncovered
        Attributes that fewer than the minimum of seen classes carry in different company.
    rank
        How many of its attributes vary independently over the seen classes, 0 to `len(carriers)`.
    nearest
        The seen class with the most similar attributes.
    distance
        Jaccard distance to it, in [0, 1], without the uncovered attributes; 0 if none is covered.
    adds, lacks
        Covered attributes that the nearest class does not have, and attributes that only it has.
    twins
        Seen classes that have every covered attribute: nothing in a prompt sets these apart.
    """

    class_name: str
    carriers: Mapping[str, tuple[str, ...]]
    uncovered: tuple[str, ...]
    rank: int
    nearest: str
    distance: float
    adds: tuple[str, ...]
    lacks: tuple[str, ...]
    twins: tuple[str, ...]

    @property
    def independent(self) -> bool:
        """Whether all of its attributes vary independently over the seen classes."""
        return self.rank == len(self.carriers)

    @property
    def distinguishable(self) -> bool:
        """Whether its covered attributes alone set it apart from every seen class."""
        return len(self.uncovered) < len(self.carriers) and not self.twins

    @property
    def composable(self) -> bool:
        """Whether every attribute is covered and independent, and together they are distinct."""
        return not self.uncovered and self.independent and self.distinguishable

    def explain(self) -> str:
        """One or two sentences for the user: the verdict, why, and what is left."""
        if not self.carriers:
            return (
                f"{self.class_name} is not composable: no attribute of it reaches {TYPICAL} in "
                "the attribute table; fill in its row."
            )
        reasons = [_blame(attribute, self.carriers[attribute]) for attribute in self.uncovered]
        if not self.independent:
            reasons.append(
                f"only {self.rank} of its {len(self.carriers)} attributes vary independently"
            )
        if self.twins:
            reasons.append(f"what is learnt of it also describes {_listed(self.twins)}")
        apart = f"like {self.nearest}, but {_listed(self.adds)}"
        if not reasons:
            return f"{self.class_name} is composable: {apart}."
        said = f"{self.class_name} is not composable: {'; '.join(reasons)}."
        if self.distinguishable:
            return f"{said} Without the unlearnt, it can still be described: {apart}."
        return f"{said} Give attributes that at least two seen classes share."


@dataclass(frozen=True)
class Candidate:
    """A class that could be held out beside fixed ones, judged together with them.

    `uncovered` and `independent` are shares of the attributes of all held-out classes, in [0, 1];
    `distance` is the smallest of a held-out class to its nearest seen one, in [0, 1]. `details`
    judge every held-out class, the fixed ones first.
    """

    class_name: str
    uncovered: float
    independent: float
    distance: float
    details: tuple[Composability, ...]


def composability(
    table: AttributeTable,
    unseen: Sequence[str],
    frequencies: WordFrequencies | None = None,
    minimum: int = MINIMUM,
) -> list[Composability]:
    """Judge unseen classes by the attributes that the seen ones share with them.

    Parameters
    ----------
    table
        All classes, seen and unseen.
    unseen
        Classes that no model has seen, judged together: none of them teaches another.
    frequencies
        Measured words by class (`measured_sums(…).frequencies()` of `semantic.induction`). They
        replace the table's values for seen classes. An unseen class is described by the table; only
        a word for which the table has no column is taken from here.
    minimum
        Seen classes in different company that teach an attribute.

    Raises
    ------
    InputError
        If a class is in no row of the table, or no seen class is left.
    """
    rows = [table.row(name) for name in unseen]
    seen = [row for row in range(len(table.classes)) if row not in rows]
    if not seen:
        raise InputError("every class of the attribute table is unseen; nothing can be composed")
    found = profiles(table, unseen, frequencies or {})
    return [_judge(found, row, seen, minimum) for row in rows]


def rank_candidates(
    table: AttributeTable,
    fixed: Sequence[str],
    candidates: Sequence[str],
    frequencies: WordFrequencies | None = None,
    minimum: int = MINIMUM,
) -> list[Candidate]:
    """Candidates for a further held-out class, the most composable jointly with `fixed` first.

    Holding a class out takes its attributes from the others, so all held-out classes are judged
    together: smallest uncovered share, then largest independent share, then largest distance to
    the nearest seen class; ties keep the order of `candidates`. See `composability`.

    Raises
    ------
    InputError
        As `composability`, or if a candidate is already fixed.
    """
    twice = sorted(set(fixed) & set(candidates))
    if twice:
        raise InputError(f"class {twice[0]!r} is already held out and cannot be a candidate")
    found = []
    for name in candidates:
        judged = composability(table, [*fixed, name], frequencies, minimum)
        total = max(1, sum(len(one.carriers) for one in judged))
        found.append(
            Candidate(
                name,
                sum(len(one.uncovered) for one in judged) / total,
                sum(one.rank for one in judged) / total,
                min(one.distance for one in judged),
                tuple(judged),
            )
        )
    return sorted(found, key=lambda c: (c.uncovered, -c.independent, -c.distance))


@dataclass(frozen=True)
class Profiles:
    """How typical every phrase and word is of every class, ``[n_classes, n_vocabulary]`` in [0, 1].

    `words` says which entries of the vocabulary are measured words.
    """

    classes: tuple[str, ...]
    vocabulary: tuple[str, ...]
    words: Flags
    shares: Floats

    @property
    def typical(self) -> Flags:
        """What describes each class, ``[n_classes, n_vocabulary]``."""
        return self.shares >= TYPICAL

    @property
    def occurs(self) -> Flags:
        """What can be learnt from each class: its phrases, and words of some of its images."""
        return self.shares >= np.where(self.words, OCCURS, TYPICAL)

    @property
    def varies(self) -> Flags:
        """Words that some images of a class deserve and others do not."""
        return self.words & (self.shares >= OCCURS) & (self.shares <= 1 - OCCURS)


def profiles(
    table: AttributeTable, unseen: Collection[str], frequencies: WordFrequencies
) -> Profiles:
    """Join a table with measured words.

    A seen class's words are what was measured on its images, where there is a measurement. An
    unseen class is described by the table; only a word for which the table has no column is taken
    from `frequencies`.
    """
    counted = {word for shares in frequencies.values() for word in shares}
    added = tuple(w for w in WORDS if w in counted and w not in table.attributes)
    vocabulary = (*table.attributes, *added)
    shares = np.hstack([table.values, np.zeros((len(table.classes), len(added)))])
    for row, name in enumerate(table.classes):
        if name in frequencies:
            replaced = added if name in unseen else [w for w in vocabulary if w in WORDS]
            for word in replaced:
                shares[row, vocabulary.index(word)] = frequencies[name].get(word, 0.0)
    words = np.array([name in WORDS for name in vocabulary], dtype=np.bool_)
    return Profiles(table.classes, vocabulary, words, shares)


def _judge(found: Profiles, row: int, seen: list[int], minimum: int) -> Composability:
    own = found.typical[row]
    occurs, typical = found.occurs[seen], found.typical[seen]
    varies: Flags = np.any(found.varies[seen], axis=0)
    covered = np.zeros_like(own)
    for attribute in np.flatnonzero(own):
        covered[attribute] = _companies(occurs, attribute) >= minimum
    nearest = int(np.argmin([_jaccard(own, other) for other in typical]))
    twins = covered.any() & typical[:, covered].all(axis=1)
    classes = [found.classes[i] for i in seen]

    def named(columns: Flags) -> tuple[str, ...]:
        return tuple(found.vocabulary[i] for i in np.flatnonzero(columns))

    return Composability(
        class_name=found.classes[row],
        carriers={
            found.vocabulary[a]: tuple(classes[i] for i in np.flatnonzero(occurs[:, a]))
            for a in np.flatnonzero(own)
        },
        uncovered=named(own & ~covered),
        rank=_rank(occurs, own, varies),
        nearest=classes[nearest],
        distance=_jaccard(covered, typical[nearest]) if covered.any() else 0.0,
        adds=named(covered & ~typical[nearest]),
        lacks=named(typical[nearest] & ~own),
        twins=tuple(classes[i] for i in np.flatnonzero(twins)),
    )


def _companies(occurs: Flags, attribute: np.intp) -> int:
    """In how many different companies of other attributes an attribute occurs."""
    return len(np.unique(np.delete(occurs[occurs[:, attribute]], attribute, axis=1), axis=0))


def _rank(occurs: Flags, own: Flags, varies: Flags) -> int:
    """How many of the own attributes vary independently over the seen images.

    A word that varies within a class varies apart from all that is fixed per class; the rest can
    vary in as many ways as their seen classes × attributes matrix has dimensions.
    """
    fixed = occurs[:, own & ~varies].astype(np.float64)
    between = int(np.linalg.matrix_rank(fixed)) if fixed.size else 0
    return int((own & varies).sum()) + between


def _jaccard(one: Flags, other: Flags) -> float:
    either = int((one | other).sum())
    return float((one ^ other).sum() / either) if either else 0.0


def _blame(attribute: str, carriers: tuple[str, ...]) -> str:
    if not carriers:
        return f"{attribute!r} occurs in no seen class"
    few = ", too few in different company" if len(carriers) > 1 else ""
    return f"{attribute!r} occurs only in {_listed(carriers)}{few}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
