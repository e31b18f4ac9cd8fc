"""What a run directory says, as typed records; `evaluation.run` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """One training arm: an aggregation rule, with or without augmentation, on a split.

    With `own_models`, every client is measured with a model of its own; `as_published`, the rule
    was applied without cap and floor.
    """

    name: str
    rule: str
    augment: bool
    domain_matching: bool
    split: str
    reference: bool
    own_models: bool = False
    as_published: bool = False


@dataclass(frozen=True, eq=False)
class Split:
    """Real images per client and cell.

    Parameters
    ----------
    train, test : ndarray of int64, shape (n_clients, n_classes, n_groups)
        Training and test images.
    """

    name: str
    train: IntArray
    test: IntArray

    @property
    def clients(self) -> int:
        """Number of clients."""
        return int(self.train.shape[0])


@dataclass(frozen=True, eq=False)
class ClientRound:
    """One client in one round; None where it failed or the engine does not report.

    Parameters
    ----------
    signal : float or None
        The fairness signal that the rule read; None when undefined.
    raw_weight, weight : float or None
        Aggregation weight before and after the guards and normalisation.
    drawn_down : bool or None
        Whether the client was raised to the floor, or counted for less than half of its share of
        the real examples; None where the log does not say.
    guard : str or None
        Why a guard acted.
    test_counts : ndarray of int64, shape (n_groups, n_classes, n_classes), or None
        Counts of the aggregated model on the client's test images.
    """

    client: int
    error: str | None
    n_real: int
    n_synthetic: int
    loss: float | None
    signal: float | None
    raw_weight: float | None
    weight: float | None
    guard: str | None
    seconds: float
    bytes_down: int
    bytes_up: int
    test_loss: float | None
    test_counts: IntArray | None
    drawn_down: bool | None = None
    name: str | None = None


@dataclass(frozen=True, eq=False)
class LoopPlan:
    """What the closed loop planned after a round.

    Parameters
    ----------
    lower : ndarray of float64, shape (n_classes, n_groups)
        Lower end of the interval of each cell's recall on the clients' training rows.
    asked, cumulative : ndarray of int64, same shape
        Further synthetic images of each cell that every client shall have: now, and so far.
    generated, reused : int
        What all clients made for the plan before this one, and took from the store.
    change : ndarray of float64, same shape, or None
        Recall now less recall at the plan before; NaN without rows, None for the first plan.
    """

    lower: FloatArray
    asked: IntArray
    cumulative: IntArray
    generated: int
    reused: int
    change: FloatArray | None


@dataclass(frozen=True)
class Round:
    """One finished round of one arm; ``loop`` where the arm made a plan after it."""

    arm: str
    number: int
    seconds: float
    clients: tuple[ClientRound, ...]
    loop: LoopPlan | None = None

    def pooled(self) -> IntArray | None:
        """Return the test counts of all clients together; None if no client reported any."""
        counts = [c.test_counts for c in self.clients if c.test_counts is not None]
        return np.sum(counts, axis=0, dtype=np.int64) if counts else None


@dataclass(frozen=True, eq=False)
class ClientSynthesis:
    """What one client synthesised.

    Parameters
    ----------
    requested, accepted : ndarray of int64, shape (n_classes, n_groups)
        Images per cell.
    rejected : mapping of str to int
        Images per reason.
    """

    client: int
    requested: IntArray
    accepted: IntArray
    rejected: Mapping[str, int]


@dataclass(frozen=True)
class Synthesis:
    """What all clients synthesised, with the seconds it took and the images reused.

    Parameters
    ----------
    rejected : mapping of str to int or None
        Images per reason over all clients, those of a pool that several drew from counted once;
        None where the clients' own counts add up to it.
    """

    clients: tuple[ClientSynthesis, ...]
    seconds: float
    generated: int
    reused: int
    rejected: Mapping[str, int] | None = None


@dataclass(frozen=True)
class SyntheticImage:
    """A synthetic image of the gallery; scores are None when not given."""

    file: Path
    score: float | None
    margin: float | None


@dataclass(frozen=True)
class GalleryCell:
    """Real and synthetic images of one cell."""

    class_name: str
    group: str
    real: tuple[Path, ...]
    synthetic: tuple[SyntheticImage, ...]


@dataclass(frozen=True)
class Run:
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
        What a reader of the report must know about the files (for example a line cut short).
    warnings : tuple of str
        What the run allowed although its models do not know the data.
    unit : str
        What the data are, in the plural: ``images`` or ``rows``.
    unknown : tuple of str
        Groups of rows whose sensitive value is unknown: no metric compares them.
    gallery_split : str
        Whose the real images of the gallery are: ``test``, as far as fairfed writes it.
    clients : tuple of str
        Names of the clients; empty where the run does not say.
    """

    path: Path
    name: str
    seed: int
    classes: tuple[str, ...]
    groups: tuple[str, ...]
    sensitive: str | None
    rounds: int
    engine: str
    versions: Mapping[str, str]
    arms: tuple[Arm, ...]
    splits: Mapping[str, Split]
    history: Mapping[str, tuple[Round, ...]]
    synthesis: Synthesis | None = None
    gallery: tuple[GalleryCell, ...] = ()
    config_text: str = ""
    notes: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())
    unit: str = "images"
    unknown: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()
    gallery_split: str = "test"

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
