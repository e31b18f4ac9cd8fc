"""What an audit found: plain records, of which reports, gates and JSON files are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from evaluation.audit.options import AuditOptions
from evaluation.audit.schema import Schema
from evaluation.clients import ClientFairness

NAN = float("nan")

Kind = Literal["difference", "ratio"]
Method = Literal["between_groups", "to_overall"]


@dataclass(frozen=True)
class Estimate:
    """A number with what is needed to judge it.

    Parameters
    ----------
    value, low, high : float
        The number and its interval at the audit's level; NaN where undefined.
    n : int
        Rows that it rests on.
    how : str
        Of the interval: ``wilson``, ``bootstrap``, ``exact``, ``normal``, or ``none``.
    undefined : float
        Share of the bootstrap replicates in which it was undefined (a group vanished).
    binning : float
        How far the value may be off because it comes from bins of scores; the interval holds it.
    lacks : tuple of str
        Parts that are not defined, in words: the value is over the others, and passes no gate.
    """

    value: float
    low: float = NAN
    high: float = NAN
    n: int = 0
    how: str = "none"
    undefined: float = 0.0
    binning: float = 0.0
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gap:
    """How far a metric is from equal over the groups.

    Parameters
    ----------
    name : str
        Unique in its cross of columns: fairlearn's name where it has one
        (``equalized_odds_difference``), else ``<metric>_difference`` or ``<metric>_ratio``, with
        ``_to_overall`` and ``_mean`` where those conventions are meant.
    title : str
        In words.
    metric : str
        Key of the metric by group; for equalized odds ``equalized_odds``.
    kind, method
        Difference or ratio; between groups or to the overall value.
    estimate : Estimate
        Value and interval.
    lowest, highest : str
        Groups at its ends; empty where it joins several rates.
    chance : float
        What a share `level` of the gaps that chance alone makes stays within; NaN for ratios, and
        where it is not computed. See `evaluation.audit.null`.
    p : float
        How often chance alone makes a gap so large, by the same draws; NaN where there is no test.
    p_holm, p_bh : float
        Corrected within its family: by Holm for gaps that a gate names, by Benjamini & Hochberg
        for the plain differences of the others; else NaN. See `evaluation.audit.families`.
    detectable : float
        Smallest difference that this n detects with the audit's power; NaN for ratios.
    """

    name: str
    title: str
    metric: str
    kind: Kind
    method: Method
    estimate: Estimate
    lowest: str = ""
    highest: str = ""
    chance: float = NAN
    p: float = NAN
    p_holm: float = NAN
    p_bh: float = NAN
    detectable: float = NAN

    @property
    def plain(self) -> bool:
        """Whether it is a plain difference between groups, of which other gaps are forms."""
        plain = self.kind == "difference" and self.method == "between_groups"
        return plain and not self.name.endswith("_mean")


@dataclass(frozen=True)
class GroupMetric:
    """One metric over the groups of a cross of columns."""

    name: str
    title: str
    direction: Literal["higher", "lower", "none"]
    overall: Estimate
    groups: tuple[Estimate, ...]


@dataclass(frozen=True)
class Comparison:
    """Groups of one cross of sensitive columns.

    Parameters
    ----------
    by : tuple of str
        The columns.
    groups : tuple of str
        Those that are compared, and `rows` of each.
    suppressed : tuple of str
        Those with fewer rows than `AuditOptions.min_group` or withheld by redaction, and
        `suppressed_rows` in all.
    metrics : tuple of GroupMetric
        Each with one estimate per group.
    gaps : tuple of Gap
        Differences and ratios.
    """

    by: tuple[str, ...]
    groups: tuple[str, ...]
    rows: tuple[int, ...]
    suppressed: tuple[str, ...]
    suppressed_rows: int
    metrics: tuple[GroupMetric, ...]
    gaps: tuple[Gap, ...]

    def gap(self, name: str) -> Gap:
        """The gap of that name; KeyError if there is none."""
        found = {gap.name: gap for gap in self.gaps}
        return found[name]


@dataclass(frozen=True)
class ScoreMetric:
    """A metric of scores by group, from histograms.

    Parameters
    ----------
    name, title, direction
        ``roc_auc``, ``average_precision``, ``calibration_error``, ``brier`` …
    scored : str
        The class whose score it is.
    overall, groups
        Estimates.
    """

    name: str
    title: str
    direction: Literal["higher", "lower", "none"]
    scored: str
    overall: Estimate
    groups: tuple[Estimate, ...]


@dataclass(frozen=True)
class ScoreComparison:
    """Scores over the groups of one cross of columns; densities for a picture.

    Parameters
    ----------
    by, groups
        Columns and compared groups.
    metrics : tuple of ScoreMetric
        Each with one estimate per group.
    gaps : tuple of Gap
        Differences between groups.
    densities : tuple of tuple of float
        Of each group the share of its rows in each of a few equal bins of the score.
    calibration : tuple of tuple of (float, float, int)
        Of each group: mean score, observed rate and rows per bin that holds rows.
    """

    by: tuple[str, ...]
    groups: tuple[str, ...]
    metrics: tuple[ScoreMetric, ...]
    gaps: tuple[Gap, ...]
    densities: tuple[tuple[float, ...], ...]
    calibration: tuple[tuple[tuple[float, float, int], ...], ...]


@dataclass(frozen=True)
class Subgroup:
    """A subgroup that is served worse than the rest.

    Parameters
    ----------
    where : tuple of (str, str)
        Columns and values that define it.
    n : int
        Its rows.
    metric : str
        What it is judged by.
    estimate : Estimate
        Of the subgroup, its interval corrected for the search; ``rest`` is the value over all other
        rows.
    rest : float
        See `estimate`.
    shortfall : float
        Lower confidence bound of how much worse it is than the rest, corrected for the search; > 0:
        surely worse.
    explains : float
        Share of all errors that would not have happened if it were served as the rest, in [0, 1].
    """

    where: tuple[tuple[str, str], ...]
    n: int
    metric: str
    estimate: Estimate
    rest: float
    shortfall: float
    explains: float


@dataclass(frozen=True)
class Contribution:
    """What one client adds to a global gap.

    Parameters
    ----------
    client : str
        Its name.
    n : int
        Its rows.
    gap : str
        Name of the gap and the columns it is over: ``equalized_odds_difference @ sex × race``.
    without : float
        The gap over all other clients' rows.
    share : float
        Gap of everyone less `without`: positive where the client makes it larger.
    own : float
        The gap within the client's own rows.
    """

    client: str
    n: int
    gap: str
    without: float
    share: float
    own: float


@dataclass(frozen=True)
class FrontierPoint:
    """What thresholds by group can reach.

    Parameters
    ----------
    gap : float
        Largest allowed gap of the constraint.
    accuracy : float
        Best accuracy within it.
    thresholds : tuple of tuple of (float, float)
        Of each group, thresholds and the share of rows that each is used for.
    """

    gap: float
    accuracy: float
    thresholds: tuple[tuple[tuple[float, float], ...], ...]


@dataclass(frozen=True)
class Frontier:
    """Accuracy against a gap, over thresholds by group, computed from score histograms."""

    by: tuple[str, ...]
    groups: tuple[str, ...]
    constraint: str
    points: tuple[FrontierPoint, ...]
    now: tuple[float, float]
    """Gap and accuracy of the predictions as they are."""


@dataclass(frozen=True)
class Verdict:
    """Outcome of one condition of a gate; one that could not be audited did not hold either."""

    condition: str
    held: bool
    value: float
    low: float
    high: float
    n: int
    message: str
    audited: bool = True


@dataclass(frozen=True)
class Audit:
    """Everything that an audit found; sections that do not apply are empty."""

    schema: Schema
    options: AuditOptions
    n: int
    title: str = "Audit"
    source: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    scores: tuple[ScoreComparison, ...] = ()
    clients: ClientFairness | None = None
    contributions: tuple[Contribution, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    frontiers: tuple[Frontier, ...] = ()
    gate: tuple[Verdict, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
