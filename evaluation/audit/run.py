"""The whole audit: every section that the counts allow."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from evaluation.audit.compare import compare_groups, corrected_gaps
from evaluation.audit.contributions import contributions
from evaluation.audit.frontier import frontiers
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Audit, Comparison, ScoreComparison
from evaluation.audit.scores import score_comparisons
from evaluation.audit.subgroups import SubgroupSearch, search_subgroups
from evaluation.audit.tally import Tally
from evaluation.clients import ClientFairness, client_accuracies, client_fairness

PACKAGES = ("fairfed", "numpy", "scipy")
EMPTY = "There are no rows: nothing is measured."
NO_COLUMNS = "There is no sensitive column: groups are not compared."
ONE_GROUP = "{by}: one group only ({group}) has enough rows; gaps are not defined."
NO_GROUP = "{by}: no group has {least} rows; none is compared."
SUPPRESSED = "{by}: {n} group(s) with fewer than {least} rows ({rows} rows in all) not compared."
ONE_CLASS = "All rows are of one class ({name}): rates of other classes are not defined."
ONE_SIDED = "{never}, and in the averages over classes all the same: {names}."
LEFT_OUT = "{by}: {metric} is not defined for {groups} (no row to rest on); left out of its gaps."
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

    Returns
    -------
    Audit
        p-values are corrected over the tests of all sections together. It depends on the counts
        alone: however rows were split before they were added up, it is the same.

    Raises
    ------
    InputError
        If a column or a metric is unknown.
    """
    options = options or AuditOptions()
    comparisons, scores = corrected_together(
        compare_groups(tally, options), score_comparisons(tally, options)
    )
    search = search_subgroups(tally, options) if options.depth else SubgroupSearch()
    return Audit(
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
        clients=clients_of(tally),
        contributions=contributions(tally, options),
        subgroups=search.found,
        frontiers=frontiers(tally, options),
        versions=versions(),
    )


def corrected_together(
    comparisons: Sequence[Comparison], scores: Sequence[ScoreComparison]
) -> tuple[tuple[Comparison, ...], tuple[ScoreComparison, ...]]:
    """Correct the p-values of both sections as one family."""
    together: list[Comparison | ScoreComparison] = [*comparisons, *scores]
    both = corrected_gaps(together)
    return (
        tuple(one for one in both if isinstance(one, Comparison)),
        tuple(one for one in both if isinstance(one, ScoreComparison)),
    )


def clients_of(tally: Tally) -> ClientFairness | None:
    """How even the accuracy is over clients; None without several, or for a regression."""
    if tally.confusion is None or len(tally.schema.clients) < 2:
        return None
    last = len(tally.confusion.shape)
    table = tally.confusion.marginal((0, last - 2, last - 1)).dense()[..., 0]
    return client_fairness(client_accuracies(list(np.maximum(table, 0)[:, None])))


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
            SUPPRESSED.format(
                by=by, n=len(comparison.suppressed), least=least, rows=comparison.suppressed_rows
            )
        )
    if not comparison.groups:
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
            groups = ", ".join(lacking)
            found.append(LEFT_OUT.format(by=by, metric=metric.title.lower(), groups=groups))
    return found
