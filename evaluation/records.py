"""What a run directory says, as typed records; `evaluation.run` reads them.

Field by field they are what the files hold; docs/report.md has the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from evaluation.fields import (
    STRICT,
    FloatArray,
    IntArray,
    Names,
    Seconds,
    Strings,
    Whole,
    counts,
    numbers,
    wrong,
)

Cells = Annotated[IntArray, counts("classes", "groups")]
Text = Annotated[str, BeforeValidator(str)]


class _Read:
    """A record that is read from a file."""

    __pydantic_config__ = STRICT


def _inside(name: Any, info: ValidationInfo) -> Path:
    """A path of the gallery, which must not lead out of the run directory."""
    if not isinstance(name, str):
        raise wrong("a string", name)
    folder: Path = (info.context or {})["run_dir"]
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise PydanticCustomError(
            "outside", "file '{name}' lies outside the run directory", {"name": name}
        )
    return path


Inside = Annotated[Path, PlainValidator(_inside)]


@dataclass(frozen=True)
class Arm(_Read):
    """One training arm: an aggregation rule, with or without augmentation, on a split.

    With `own_models`, every client is measured with a model of its own; `as_published`, the rule
    was applied without cap and floor.
    """

    name: str
    rule: str
    split: str
    augment: bool = False
    domain_matching: bool = False
    reference: bool = False
    own_models: bool = False
    as_published: bool = False


@dataclass(frozen=True, eq=False)
class Split(_Read):
    """Real images per client and cell, ``(n_clients, n_classes, n_groups)``.

    A count that a site does not say, because it is too small, is 1: it is not 0, and that is all
    that is known.
    """

    train: Annotated[IntArray, counts("clients", "classes", "groups", null=1)]
    test: Annotated[IntArray, counts("clients", "classes", "groups", null=1)]
    name: str = ""

    @property
    def clients(self) -> int:
        """Number of clients."""
        return int(self.train.shape[0])


@dataclass(frozen=True, eq=False)
class ClientRound(_Read):
    """One client in one round; None where it failed or the engine does not report.

    The rule read `signal`; `raw_weight` and `weight` are those before and after guards (`guard`
    says why one acted) and normalisation. `drawn_down`: raised to the floor, or counted for less
    than half of its share of the real examples; None where the log does not say. `test_counts` are
    those of the aggregated model, ``(n_groups, n_classes, n_classes)``.
    """

    client: int
    error: str | None = None
    n_real: Whole = 0
    n_synthetic: Whole = 0
    loss: float | None = None
    signal: float | None = None
    raw_weight: float | None = None
    weight: float | None = None
    guard: str | None = None
    seconds: Seconds = 0.0
    bytes_down: Whole = 0
    bytes_up: Whole = 0
    test_loss: float | None = None
    test_counts: Annotated[IntArray, counts("groups", "classes", "classes")] | None = None
    drawn_down: bool | None = None
    name: str | None = None


@dataclass(frozen=True)
class Spent(_Read):
    """Images that all clients made for a plan, and took from the store."""

    generated: Whole = 0
    reused: Whole = 0


@dataclass(frozen=True, eq=False)
class LoopPlan(_Read):
    """What the closed loop planned after a round, ``(n_classes, n_groups)`` each.

    `lower` is the lower end of the interval of each cell's recall on the clients' training rows;
    `asked` and `cumulative` are the further synthetic images that every client shall have, now and
    so far; `spent` is for the plan before this one; `change` is recall now less recall at the plan
    before: NaN without rows, None for the first plan.
    """

    lower: Annotated[FloatArray, numbers("classes", "groups")]
    asked: Cells
    cumulative: Cells
    spent: Spent = Spent()
    change: Annotated[FloatArray, numbers("classes", "groups")] | None = None


@dataclass(frozen=True)
class Round(_Read):
    """One finished round of one arm; ``loop`` where the arm made a plan after it."""

    arm: str
    number: Annotated[int, Field(validation_alias="round")]
    clients: tuple[ClientRound, ...]
    seconds: Seconds = 0.0
    loop: LoopPlan | None = None

    def pooled(self) -> IntArray | None:
        """Return the test counts of all clients together; None if no client reported any."""
        counts = [c.test_counts for c in self.clients if c.test_counts is not None]
        return np.sum(counts, axis=0, dtype=np.int64) if counts else None


@dataclass(frozen=True, eq=False)
class ClientSynthesis(_Read):
    """What one client synthesised, ``(n_classes, n_groups)``, and images rejected by reason.

    `known` says in words whether its generator knows each class and sensitive column.
    """

    client: int
    requested: Cells
    accepted: Cells
    rejected: dict[str, int]
    known: dict[str, Text] | None = None


@dataclass(frozen=True)
class Synthesis(_Read):
    """What all clients synthesised, with the seconds it took and the images reused.

    `rejected` counts images of a pool that several drew from once; None where the clients' own
    counts add up to it.
    """

    clients: tuple[ClientSynthesis, ...]
    seconds: Seconds = 0.0
    generated: Whole = 0
    reused: Whole = 0
    rejected: dict[str, int] | None = None


@dataclass(frozen=True)
class SyntheticImage(_Read):
    """A synthetic image of the gallery; scores are None when not given."""

    file: Inside
    score: float | None = None
    margin: float | None = None


@dataclass(frozen=True, kw_only=True)
class GalleryCell(_Read):
    """Real and synthetic images of one cell."""

    class_name: Annotated[str, Field(validation_alias="class")]
    group: str
    real: tuple[Inside, ...] = ()
    synthetic: tuple[SyntheticImage, ...]


@dataclass(frozen=True)
class Gallery(_Read):
    """The gallery of a run; `split` is whose the real images are (of earlier versions test's)."""

    cells: tuple[GalleryCell, ...]
    split: Annotated[str, BeforeValidator(lambda value: value or "test")] = "test"


@dataclass(frozen=True, kw_only=True)
class Plan(_Read):
    """What was to be run, as ``federation.json`` says.

    `warnings` are what the run allowed although its models do not know the data, `remarks` what a
    reader of the report must know. `unit` says what the data are, ``images`` or ``rows``. No metric
    compares the groups in `unknown`. `clients` are names, empty where the run does not say.
    """

    name: str
    seed: int
    classes: Names
    groups: Names
    sensitive: str | None = None
    rounds: int
    engine: str
    versions: dict[str, Text]
    arms: tuple[Arm, ...]
    splits: dict[str, Split]
    remarks: Strings = ()
    warnings: Strings = ()
    unit: Annotated[str, BeforeValidator(lambda value: value or "images")] = "images"
    unknown: Strings = ()
    clients: Strings = ()


@dataclass(frozen=True, kw_only=True)
class Run(Plan):
    """A run directory.

    Parameters
    ----------
    history : mapping of str to tuple of Round
        Finished rounds per arm name, in order; every arm has an entry.
    synthesis : Synthesis or None
        None when nothing was synthesised.
    config_text : str
        The resolved configuration.
    notes : tuple of str
        The remarks, and what is to be said about the files (for example a line cut short).
    gallery_split : str
        Whose the real images of the gallery are: ``test``, as far as fairfed writes it.
    """

    path: Path
    history: Mapping[str, tuple[Round, ...]]
    synthesis: Synthesis | None = None
    gallery: tuple[GalleryCell, ...] = ()
    gallery_split: str = "test"
    config_text: str = ""
    notes: tuple[str, ...] = ()

    @property
    def has_groups(self) -> bool:
        """Whether there are at least two groups to compare."""
        return len(self.groups) - len(self.unknown) > 1

    def client_name(self, client: int) -> str:
        """What a client is called: by its name where it has one, else by its number."""
        return self.clients[client] if client < len(self.clients) else str(client)

    @property
    def baseline(self) -> Arm | None:
        """The arm that the others are compared with.

        The first arm that is no reference, does not augment and averages plainly (rule ``fedavg``);
        failing that, the first that is no reference; None if all are references.
        """
        candidates = [arm for arm in self.arms if not arm.reference]
        plain = [arm for arm in candidates if arm.rule == "fedavg" and not arm.augment]
        return next(iter([*plain, *candidates]), None)

    def final_round(self, arm: Arm) -> Round | None:
        """Return the last round of the arm in which a client reported test counts."""
        measured = [r for r in self.history[arm.name] if r.pooled() is not None]
        return measured[-1] if measured else None
