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
    """A number with what is needed to judge it."""

    value: float
    low: float = NAN  # ends of its interval at the audit's level; NaN where undefined
    high: float = NAN
    n: int = 0  # rows that it rests on
    how: str = "none"  # of the interval: wilson, bootstrap, exact, normal, or none
    # share of the bootstrap replicates in which it was undefined (a group vanished)
    undefined: float = 0.0
    # how far it may be off because it comes from bins of scores; the interval holds it
    binning: float = 0.0
    # parts that are not defined, in words: the value is over the others, and passes no gate
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gap:
    """How far a metric is from equal over the groups.

    Names are unique in a cross of columns: fairlearn's where it has one
    (``equalized_odds_difference``), else ``<metric>_difference`` or ``<metric>_ratio``, with
    ``_to_overall`` and ``_mean`` where those conventions are meant.
    """

    name: str
    title: str  # in words
    metric: str  # key of the metric by group; for equalized odds ``equalized_odds``
    kind: Kind
    method: Method
    estimate: Estimate
    lowest: str = ""  # groups at its ends; empty where it joins several rates
    highest: str = ""
    # what a share `level` of the gaps that chance alone makes stays within; NaN for ratios, and
    # where it is not computed (`evaluation.audit.null`)
    chance: float = NAN
    # how often chance alone makes a gap so large, by the same draws; NaN without a test
    p: float = NAN
    # corrected within its family: by Holm for gaps that a gate names, by Benjamini & Hochberg for
    # the plain differences of the others (`evaluation.audit.families`)
    p_holm: float = NAN
    p_bh: float = NAN
    # smallest difference that this n detects with the audit's power; NaN for ratios
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
    """Groups of one cross of sensitive columns."""

    by: tuple[str, ...]
    groups: tuple[str, ...]  # those that are compared
    rows: tuple[int, ...]
    # those with fewer rows than `AuditOptions.min_group`, or withheld by redaction
    suppressed: tuple[str, ...]
    suppressed_rows: int  # in all
    metrics: tuple[GroupMetric, ...]  # each with one estimate per group
    gaps: tuple[Gap, ...]  # differences and ratios

    def gap(self, name: str) -> Gap:
        """The gap of that name; KeyError if there is none."""
        found = {gap.name: gap for gap in self.gaps}
        return found[name]


@dataclass(frozen=True)
class ScoreMetric:
    """A metric of scores by group, from histograms."""

    name: str  # ``roc_auc``, ``average_precision``, ``calibration_error``, ``brier``, …
    title: str
    direction: Literal["higher", "lower", "none"]
    scored: str  # the class whose score it is
    overall: Estimate
    groups: tuple[Estimate, ...]


@dataclass(frozen=True)
class ScoreComparison:
    """Scores over the groups of one cross of columns; densities for a picture."""

    by: tuple[str, ...]
    groups: tuple[str, ...]  # that are compared
    metrics: tuple[ScoreMetric, ...]  # each with one estimate per group
    gaps: tuple[Gap, ...]  # differences between groups
    # of each group the share of its rows in each of a few equal bins of the score
    densities: tuple[tuple[float, ...], ...]
    # of each group: mean score, observed rate and rows per bin that holds rows
    calibration: tuple[tuple[tuple[float, float, int], ...], ...]


@dataclass(frozen=True)
class Subgroup:
    """A subgroup that is served worse than the rest."""

    where: tuple[tuple[str, str], ...]  # columns and values that define it
    n: int
    metric: str  # what it is judged by
    estimate: Estimate  # its interval is corrected for the search
    rest: float  # the value over all other rows
    # lower confidence bound of how much worse it is than the rest, corrected for the search; above
    # 0: surely worse
    shortfall: float
    # share of all errors that would not have happened if it were served as the rest
    explains: float


@dataclass(frozen=True)
class Contribution:
    """What one client adds to a global gap."""

    client: str
    n: int  # its rows
    gap: str  # name and columns: ``equalized_odds_difference @ sex × race``
    without: float  # the gap over all other clients' rows
    share: float  # gap of everyone less `without`: positive where the client makes it larger
    own: float  # the gap within the client's own rows


@dataclass(frozen=True)
class FrontierPoint:
    """What thresholds by group can reach."""

    gap: float  # largest allowed gap of the constraint
    accuracy: float  # the best within it
    # of each group, with the share of rows that each is used for
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
