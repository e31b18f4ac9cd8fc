"""The whole audit: every section that the counts allow."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from evaluation.audit.compare import compare_groups
from evaluation.audit.contributions import contributions
from evaluation.audit.disclosure import Redaction, without_counts, without_small
from evaluation.audit.families import in_families
from evaluation.audit.frontier import frontiers
from evaluation.audit.gate import check_gate, judge, looked_at
from evaluation.audit.gate_names import Condition, names_in
from evaluation.audit.options import ALL, AuditOptions, Shown
from evaluation.audit.outcome import Audit, Comparison, ScoreComparison
from evaluation.audit.scores import score_comparisons
from evaluation.audit.subgroups import search_subgroups
from evaluation.audit.tally import Tally
from evaluation.clients import ClientFairness, client_accuracies, client_fairness

PACKAGES = ("fairfed", "numpy", "scipy")
EMPTY = "There are no rows: nothing is measured."
NO_COLUMNS = "There is no sensitive column: groups are not compared."
ONE_GROUP = "{by}: one group only ({group}) has enough rows; gaps are not defined."
NO_GROUP = "{by}: no group has {least} rows; none is compared."
SUPPRESSED = "{by}: {n} group(s) with fewer than {least} rows ({rows} rows in all) not compared."
WITHHELD = (
    "{by}: {n} group(s) not compared ({rows} rows in all): fewer than {least} rows, or withheld by "
    "redaction."
)
LEFT_OUT_ROWS = (
    "Redacted: the rows of {groups} are left out of every figure; these groups are too small, and "
    "what everyone else holds would give them away."
)
REDACTED = (
    "Redacted: no count from 1 to {most} can be derived from what is written. A group with such a "
    "count, and what would give it away, is withheld; so are score curves and thresholds."
)
ONE_CLASS = "All rows are of one class ({name}): rates of other classes are not defined."
ONE_SIDED = "{never}, and in the averages over classes all the same: {names}."
LEFT_OUT = "{by}: {metric} is not defined for {groups} (no row to rest on); left out of its gaps."
LISTED = 3
"""Groups that a note names."""
WEIGHTED = (
    "Rows are weighted: metrics use the weights, n are rows; intervals and tests use effective "
    "numbers of rows, which is an approximation."
)


def audit(
    tally: Tally,
    options: AuditOptions | None = None,
    *,
    title: str = "Audit",
    source: Sequence[str] = (),
    notes: Sequence[str] = (),
    gate: Sequence[Condition] = (),
) -> Audit:
    """Audit counts: groups, scores, clients, subgroups and thresholds, as far as they allow.

    Parameters
    ----------
    tally : Tally
        Counts of all rows.
    options : AuditOptions, optional
        What to compute.
    title, source, notes
        For the record: a title, where the rows came from, what should be known of them.
    gate : sequence of Condition
        What the audit is judged by.

    Returns
    -------
    Audit
        It depends on the counts alone: however rows were split before they were added up, it is the
        same. Corrected p-values are within the gate's tests, and within the others.

    Raises
    ------
    InputError
        If a column or a metric is unknown, also of a condition: that is checked first.
    """
    options = options or AuditOptions()
    check_gate(gate, names_in(tally.schema, options))
    redaction, shown = None, ALL
    if options.redact:
        # Groups that small are never shown, and no note may say that a group has fewer rows.
        options = replace(options, min_group=max(options.min_group, options.redact + 1))
        tally, gone = without_small(tally, options)
        redaction = Redaction(tally, options)
        shown, notes = redaction.shown(), [without_counts(note) for note in notes]
        notes += [LEFT_OUT_ROWS.format(groups=", ".join(gone))] if gone else []
    comparisons = compare_groups(tally, options, shown)
    scores = score_comparisons(tally, options, shown)
    search = search_subgroups(tally, options)
    subgroups = search.found
    if redaction is not None:
        subgroups = tuple(one for one in subgroups if redaction.allows(one.where))
        scores = tuple(replace(one, densities=(), calibration=()) for one in scores)
    found = Audit(
        schema=tally.schema,
        options=options,
        n=tally.n,
        title=title,
        source=tuple(source),
        notes=(
            *notes,
            *_notes(tally, options, comparisons),
            *([search.note] if search.candidates else ()),
        ),
        comparisons=comparisons,
        scores=scores,
        clients=clients_of(tally, shown),
        contributions=contributions(tally, options, shown),
        subgroups=subgroups,
        frontiers=() if options.redact else frontiers(tally, options),
        versions=versions(),
    )
    return with_gate(found, gate)


def with_gate(found: Audit, conditions: Sequence[Condition]) -> Audit:
    """Judge an audit; the gaps that conditions look at become a family of tests of their own."""
    named = looked_at(found, conditions)
    every: list[Comparison | ScoreComparison] = [*found.comparisons, *found.scores]
    both = in_families(every, named)
    return replace(
        found,
        comparisons=tuple(one for one in both if isinstance(one, Comparison)),
        scores=tuple(one for one in both if isinstance(one, ScoreComparison)),
        gate=judge(found, conditions),
    )


def clients_of(tally: Tally, shown: Shown = ALL) -> ClientFairness | None:
    """How even the accuracy is over clients; None without several, or for a regression."""
    if tally.confusion is None or len(tally.schema.clients) < 2:
        return None
    last = len(tally.confusion.shape)
    table = tally.confusion.marginal((0, last - 2, last - 1)).dense()[..., 0]
    accuracies = client_accuracies(list(np.maximum(table, 0)[:, None]))
    known = shown.clients_mask(tally.schema.clients)
    return client_fairness(np.where(known, accuracies, np.nan))


def versions() -> dict[str, str]:
    """Versions of what computed the audit, as far as they are known."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _notes(
    tally: Tally, options: AuditOptions, comparisons: Sequence[Comparison]
) -> tuple[str, ...]:
    schema = tally.schema
    if not tally.n:
        return (EMPTY,)
    found = [] if schema.axes else [NO_COLUMNS]
    if options.redact:
        found.append(REDACTED.format(most=options.redact))
    if schema.weighted:
        found.append(WEIGHTED)
    if schema.task == "classification" and len(schema.classes) == 1:
        found.append(ONE_CLASS.format(name=schema.classes[0]))
    found.extend(_one_sided(tally))
    for comparison in comparisons:
        found.extend(_comparison_notes(comparison, options))
    return tuple(found)


def _one_sided(tally: Tally) -> list[str]:
    """Classes of many that only the truth has, or only the predictions: slips look like that."""
    classes = tally.schema.classes
    if tally.confusion is None or len(classes) < 3:
        return []
    table = tally.counts([]).values.sum(axis=0)
    true, predicted = table.sum(axis=1) > 0, table.sum(axis=0) > 0
    found = []
    for lacking, never in (
        (true & ~predicted, "Never predicted"),
        (predicted & ~true, "Predicted and never true"),
    ):
        names = ", ".join(repr(classes[i]) for i in np.flatnonzero(lacking))
        if names:
            found.append(ONE_SIDED.format(names=names, never=never))
    return found


def _comparison_notes(comparison: Comparison, options: AuditOptions) -> list[str]:
    by, least, found = " × ".join(comparison.by), options.min_group, []
    if comparison.suppressed:
        found.append(
            (WITHHELD if options.redact else SUPPRESSED).format(
                by=by, n=len(comparison.suppressed), least=least, rows=comparison.suppressed_rows
            )
        )
    if not comparison.groups and not options.redact:
        found.append(NO_GROUP.format(by=by, least=least))
    if len(comparison.groups) == 1:
        found.append(ONE_GROUP.format(by=by, group=comparison.groups[0]))
    for metric in comparison.metrics:
        lacking = [
            group
            for group, estimate in zip(comparison.groups, metric.groups, strict=True)
            if np.isnan(estimate.value)
        ]
        if lacking:
            groups = ", ".join(lacking[:LISTED])
            if len(lacking) > LISTED:
                groups = f"{len(lacking)} groups ({groups} …)"
            found.append(LEFT_OUT.format(by=by, metric=metric.title.lower(), groups=groups))
    return found
