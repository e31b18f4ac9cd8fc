"""Assemble and write the report of a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from evaluation.bootstrap import difference_interval
from evaluation.clients import weighted_recall
from evaluation.export import NO_GROUPS, report_data
from evaluation.numbers import called
from evaluation.rates import accuracy
from evaluation.records import Arm, Run
from evaluation.report import figures, tables
from evaluation.report.attacks import attacks_of, inverted_of
from evaluation.report.costs import costs, fronts
from evaluation.report.drawing import looks, mark_svg
from evaluation.report.filling import filled, plain_json, write_texts
from evaluation.report.headline import changes, headline
from evaluation.report.privacy import privacy_statement
from evaluation.report.results_page import curve_data, table_data, write_results_report
from evaluation.report.words import CHANGE_TITLES, GAP_TITLES, definitions
from evaluation.results import system_of
from evaluation.run import read_run
from evaluation.summary import (
    Comparison,
    compare,
    final_counts,
    missing_weights,
    summarise,
)


def write_report(run_dir: Path, *, refresh: int = 0) -> Path:
    """Write ``report.html`` and ``report.json`` into a run directory.

    Both are replaced in one step each, so a reader never sees half a file; the same run directory
    gives the same bytes.

    Parameters
    ----------
    run_dir : Path
        Run directory, finished or under way.
    refresh : int
        Seconds after which a browser loads the page again; 0: never.

    Returns
    -------
    Path
        The HTML file: one file that needs no network.

    Raises
    ------
    InputError
        If a file of the run is missing or malformed.
    """
    if system_of(Path(run_dir)):
        return write_results_report(Path(run_dir), refresh=refresh)
    run = read_run(Path(run_dir))
    summaries, comparisons = summarise(run), compare(run)
    data = report_data(run, summaries, comparisons)
    page = filled("report.html.j2", context(run, summaries, comparisons) | {"refresh": refresh})
    texts = {"json": ("report.json", plain_json(data)), "html": ("report.html", page)}
    return write_texts(run.path, texts)["html"]


def context(run: Run, summaries: list[Any], comparisons: list[Comparison]) -> dict[str, Any]:
    """Collect everything that the template shows."""
    arm_looks = looks(run.arms)
    measured = [s for s in summaries if s.measured]
    shown = tables.columns(run)
    baseline = run.baseline or run.arms[0]
    synthesis = run.synthesis
    first: dict[str, Arm] = {}
    for arm in run.arms:
        first.setdefault(arm.split, arm)
    return {
        "run": run,
        "summaries": summaries,
        "measured": measured,
        "baseline": baseline,
        "keys": {name: mark_svg(look) for name, look in arm_looks.items()},
        "headline": headline(run, summaries, comparisons),
        "changes": [(c, changes(c)) for c in comparisons],
        "change_titles": _change_titles(comparisons),
        "columns": shown,
        "comparison": tables.comparison_rows(run, summaries, comparisons, shown),
        "no_groups": "" if run.has_groups else NO_GROUPS.format(run.groups[0]),
        "splits": [_split(run, arm) for arm in first.values()],
        "gallery": figures.gallery_rows(run),
        "gallery_left_out": max(0, len(run.gallery) - figures.MAX_CELLS),
        "curve": curve_data(figures.learning_curve(run), arm_looks, run.rounds),
        "clients": figures.client_panels(run, arm_looks),
        "gap_panels": figures.gap_panels(summaries) if run.has_groups else [],
        "gap_titles": GAP_TITLES,
        "group_panels": figures.group_panels(summaries) if run.has_groups else [],
        "steering": figures.steering(run, arm_looks),
        "fronts": fronts(measured, arm_looks) if run.has_groups else [],
        "costs": table_data(costs(run.history, {s.name: s.synthesis_seconds for s in summaries})),
        "privacy": privacy_statement(run),
        "attacks": attacks_of(run.path),
        "inverted": inverted_of(run.path),
        "synthesis": table_data(tables.synthesis_table(run, synthesis)) if synthesis else None,
        "synthesis_sentence": tables.synthesis_sentence(synthesis) if synthesis else "",
        "explained": tables.explained(synthesis) if synthesis else [],
        "loops": tables.loop_tables(run),
        "ablations": _ablations(run, summaries),
        "failures": table_data(tables.events(run, "error")),
        "guards": table_data(tables.events(run, "guard")),
        "max_events": tables.MAX_EVENTS,
        "definitions": definitions(run.unit),
    }


def _split(run: Run, arm: Arm) -> dict[str, Any]:
    split = run.splits[arm.split]
    return {
        "name": split.name,
        # The reference divides the rows anew: its clients are not those that have names.
        "clients": [
            called(k if arm.reference else run.client_name(k)) for k in range(split.clients)
        ],
        "reference": arm.reference,
        "sentence": tables.gap_sentence(run, arm),
        "classes": split.train.sum(axis=2).tolist(),
        "groups": split.train.sum(axis=1).tolist() if run.has_groups else [],
        "train": split.train.sum(axis=(1, 2)).tolist(),
        "test": split.test.sum(axis=(1, 2)).tolist(),
    }


def _change_titles(comparisons: list[Comparison]) -> dict[str, str]:
    used = {name for comparison in comparisons for name in comparison.changes}
    return {name: title for name, title in CHANGE_TITLES.items() if name in used}


def _ablations(run: Run, summaries: list[Any]) -> list[dict[str, Any]]:
    """Pair arms that differ in domain matching only."""
    by_name = {summary.name: summary for summary in summaries if summary.measured}
    found = []
    for on in run.arms:
        for off in run.arms:
            same = (on.augment, on.rule, on.split) == (True, off.rule, off.split) and off.augment
            if not (same and on.domain_matching and not off.domain_matching):
                continue
            if on.name not in by_name or off.name not in by_name:
                continue
            ours, theirs = final_counts(run, on), final_counts(run, off)
            weights = missing_weights(run, on)
            found.append({
                "on": by_name[on.name],
                "off": by_name[off.name],
                "accuracy": difference_interval(ours, theirs, accuracy, seed=run.seed),
                "missing": difference_interval(
                    ours, theirs, partial(weighted_recall, weights=weights), seed=run.seed
                ),
            })  # fmt: skip
    return found
