"""Any number of runs side by side, paired by seed where a configuration was run with several.

Differences of one arm from another are paired over the seeds that both were run with: the same seed
gives both the same data, split and test rows, so what the seed does to both cancels out.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from evaluation.bootstrap import REPLICATES, difference_interval
from evaluation.comparable import comparable
from evaluation.errors import InputError
from evaluation.intervals import LEVEL, Interval
from evaluation.rates import CountArray, FloatArray
from evaluation.records import Arm, Run
from evaluation.registry import METRICS, Direction
from evaluation.results_run import ResultsRun
from evaluation.run import read_run
from evaluation.summary import GAPS, ArmSummary, final_counts, functions, summarise_arm

TWICE = (
    "{first} and {second} are the same configuration with the same seed {seed}: the second adds "
    "nothing; leave one out"
)
NO_ROUND = "none of these runs has a measured round yet: {paths}"
PAIRED, COUNTS = "paired over seeds", "counts"
OWN = ("name", "seed", "out", "engine", "workers")
"""Settings that do not make a run another configuration."""

AnyRun = TypeVar("AnyRun", Run, ResultsRun)


@dataclass(frozen=True)
class Measure:
    """A number of an arm that is compared."""

    name: str
    title: str
    direction: Direction
    value: Callable[[ArmSummary], float]


def _gap(name: str) -> Callable[[ArmSummary], float]:
    return lambda arm: arm.gaps[name].value if name in arm.gaps else math.nan


MEASURES = (
    Measure("accuracy", "Test accuracy", "higher", attrgetter("accuracy.value")),
    Measure(
        "missing_recall", "Recall of missing classes", "higher", attrgetter("missing_recall.value")
    ),
    Measure("worst_cell_recall", "Worst cell", "higher", attrgetter("worst_cell_recall.value")),
    Measure(
        "worst_group_accuracy", "Worst group", "higher", attrgetter("worst_group_accuracy.value")
    ),
    *(Measure(name, METRICS[name].title, "lower", _gap(name)) for name in GAPS),
    Measure("client_mean", "Client mean", "higher", attrgetter("client_fairness.mean")),
    Measure("client_worst", "Worst client", "higher", attrgetter("client_fairness.worst")),
    Measure("client_sd", "Spread over clients (sd)", "lower", attrgetter("client_fairness.sd")),
)
"""What is compared between runs."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One arm of one configuration, with every seed that it was run with, in increasing order.

    `values` has the mean over the seeds by measure; its interval is Student's over the seeds from
    two on, else that of the counts (``replicates`` 0: none is known).
    """

    label: str
    reference: bool
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]
    arms: tuple[Arm, ...]
    summaries: tuple[ArmSummary, ...]
    values: dict[str, Interval]

    @property
    def drawn_down(self) -> bool:
        """Whether a client was drawn down in one of the runs."""
        return any(summary.drawn_down for summary in self.summaries)

    def per_seed(self, measure: Measure) -> FloatArray:
        """One value per seed."""
        return np.array([measure.value(arm) for arm in self.summaries])

    def counts(self) -> CountArray:
        """Test counts of all seeds together."""
        pairs = zip(self.runs, self.arms, strict=True)
        counts = [final_counts(run, arm) for run, arm in pairs]
        return np.asarray(np.sum(counts, axis=0), np.int64)


@dataclass(frozen=True)
class Difference:
    """An entry less the baseline, over the seeds that both were run with.

    `how` is `PAIRED` (Student's interval over the differences per seed) or `COUNTS` (both drawn
    independently from their counts: silent on the randomness of training).
    """

    label: str
    baseline: str
    seeds: tuple[int, ...]
    how: str
    changes: dict[str, Interval]


@dataclass(frozen=True)
class RunComparison:
    """What `compare_runs` found."""

    entries: tuple[Entry, ...]
    baseline: str
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    def entry(self, label: str) -> Entry:
        """The entry that a label names."""
        return next(entry for entry in self.entries if entry.label == label)


def compare_runs(paths: Sequence[str | Path], *, level: float = LEVEL) -> RunComparison:
    """Read run directories, at least one, finished or under way, and compare their arms.

    None may have the configuration and seed of another, and something must be measured.
    """
    runs = [read_run(Path(path)) for path in dict.fromkeys(Path(p).resolve() for p in paths)]
    found = configurations(runs, _kind)
    several = len(found) > 1
    entries: list[Entry] = []
    for name, own in found.items():
        entries += _entries(name if several else "", own, level)
    if not entries:
        raise InputError(NO_ROUND.format(paths=", ".join(str(run.path) for run in runs)))
    base = _baseline(entries)
    differences = tuple(difference(e, base, level) for e in entries if e is not base)
    return RunComparison(tuple(entries), base.label, differences, tuple(_notes(runs, entries)))


def configurations(
    runs: Sequence[AnyRun], kind: Callable[[AnyRun], Any]
) -> dict[str, list[AnyRun]]:
    """Runs that differ in the seed only, by the name of the first; names are made unique.

    Seeds ascend, and none comes twice. `kind` says what runs of one configuration have in common
    beside their settings.
    """
    found: dict[str, list[AnyRun]] = {}
    for run in runs:
        found.setdefault(repr((_settings(run), kind(run))), []).append(run)
    named: dict[str, list[AnyRun]] = {}
    for own in found.values():
        own.sort(key=lambda run: run.seed)
        for first, second in pairwise(own):
            if first.seed == second.seed:
                raise InputError(
                    TWICE.format(first=first.path, second=second.path, seed=first.seed)
                )
        name, number = own[0].name, 2
        while name in named:
            name, number = f"{own[0].name} ({number})", number + 1
        named[name] = own
    return named


def _settings(run: Run | ResultsRun) -> list[tuple[str, Any]]:
    """All settings of a run but `OWN`."""
    try:
        settings = tomllib.loads(run.config_text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{run.path / 'config.toml'}: is no TOML ({error})") from error
    return sorted((key, value) for key, value in settings.items() if key not in OWN)


def _kind(run: Run) -> Any:
    return run.classes, run.groups, [arm.name for arm in run.arms]


def _entries(configuration: str, runs: Sequence[Run], level: float) -> list[Entry]:
    found = []
    for arm in runs[0].arms:
        arms = [next(a for a in run.arms if a.name == arm.name) for run in runs]
        kept = [(run, a) for run, a in zip(runs, arms, strict=True) if final_counts(run, a).any()]
        if not kept:
            continue
        # With several seeds the intervals are Student's: those of the counts are not needed.
        replicates = REPLICATES if len(kept) == 1 else 1
        own = tuple(summarise_arm(run, a, replicates=replicates) for run, a in kept)
        found.append(
            Entry(
                label=f"{configuration}: {arm.name}" if configuration else arm.name,
                reference=arm.reference,
                seeds=tuple(run.seed for run, _ in kept),
                runs=tuple(run for run, _ in kept),
                arms=tuple(a for _, a in kept),
                summaries=own,
                values={m.name: _value(m, own, level) for m in MEASURES},
            )
        )
    return found


def _value(measure: Measure, arms: Sequence[ArmSummary], level: float) -> Interval:
    values = np.array([measure.value(arm) for arm in arms])
    n = sum(arm.n for arm in arms)
    if len(arms) > 1:
        found = student_interval(values, n, level)
        low, high = (float(np.clip(end, 0, 1)) for end in (found.low, found.high))
        return replace(found, low=low, high=high)  # every measure is a share
    own = getattr(arms[0], measure.name, None) or arms[0].gaps.get(measure.name)
    if isinstance(own, Interval):
        return own
    return Interval(float(values[0]), math.nan, math.nan, n, level)


def student_interval(values: FloatArray, n: int, level: float = LEVEL) -> Interval:
    """Mean and Student's interval of a few values; no interval from fewer than two defined ones."""
    from scipy.stats import t

    known = values[~np.isnan(values)]
    if known.size == 0:
        return Interval(math.nan, math.nan, math.nan, n, level)
    mean = float(known.mean())
    if known.size == 1:
        return Interval(mean, math.nan, math.nan, n, level)
    error = float(known.std(ddof=1)) / math.sqrt(known.size)
    half = float(t.ppf(0.5 + level / 2, known.size - 1)) * error
    return Interval(mean, mean - half, mean + half, n, level)


def _baseline(entries: Sequence[Entry]) -> Entry:
    """The baseline of the first run; failing that, the first entry."""
    first = entries[0].runs[0].baseline
    return next((e for e in entries if first is not None and e.arms[0] == first), entries[0])


def difference(entry: Entry, base: Entry, level: float = LEVEL) -> Difference:
    """Compare an entry with another, over the seeds that both were run with."""
    common = tuple(seed for seed in entry.seeds if seed in base.seeds)
    if len(common) < 2:
        return Difference(entry.label, base.label, common, COUNTS, _counted(entry, base, level))
    ours = [entry.seeds.index(seed) for seed in common]
    theirs = [base.seeds.index(seed) for seed in common]
    n = sum(entry.summaries[i].n for i in ours)
    changes = {
        m.name: student_interval(entry.per_seed(m)[ours] - base.per_seed(m)[theirs], n, level)
        for m in MEASURES
    }
    return Difference(entry.label, base.label, common, PAIRED, changes)


def _counted(entry: Entry, base: Entry, level: float) -> dict[str, Interval]:
    """Differences from the counts alone; a measure that is no function of them has no interval."""
    a, b = entry.counts(), base.counts()
    run = base.runs[0]
    every = functions(run, base.arms[0], comparable(run, b))
    seed, same = run.seed, base.runs[0].classes == entry.runs[0].classes
    found = {}
    for measure in MEASURES:
        function = every.get(measure.name)
        value = float(np.mean(entry.per_seed(measure)) - np.mean(base.per_seed(measure)))
        found[measure.name] = Interval(value, math.nan, math.nan, int(a.sum()), level)
        if function is not None and same and not math.isnan(value):
            found[measure.name] = difference_interval(a, b, function, level=level, seed=seed)
    return found


def _notes(runs: Sequence[Run], entries: Sequence[Entry]) -> list[str]:
    notes = []
    if len({(run.classes, run.groups) for run in runs}) > 1:
        notes.append("The runs have different classes or groups: differences mix data and method.")
    if len({run.rounds for run in runs}) > 1:
        notes.append("The runs were planned with different numbers of rounds.")
    for entry in entries:
        short = [s for s in entry.summaries if s.under_way]
        if short:
            done = ", ".join(f"{s.rounds} of {s.rounds_planned}" for s in short)
            notes.append(f"{entry.label}: still under way ({done} rounds).")
    if max(len(entry.seeds) for entry in entries) < 2:
        notes.append(
            "No configuration was run with two seeds: the intervals cover the choice of test rows, "
            "not the randomness of training."
        )
    return notes
