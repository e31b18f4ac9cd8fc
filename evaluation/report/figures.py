"""The charts of the report from a run and its summaries."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.errors import InputError
from evaluation.numbers import MINUS, amount, count, heading
from evaluation.rates import accuracy
from evaluation.records import Arm, Run, SyntheticImage
from evaluation.report import panels
from evaluation.report.charts import mini_chart
from evaluation.report.drawing import Look, Series
from evaluation.report.words import GAP_TITLES
from evaluation.results import Curve
from evaluation.summary import ArmSummary, round_accuracies

MAX_PANELS = 24
MAX_REAL = 4
MAX_SYNTHETIC = 6
MAX_CELLS = 40


def learning_curve(run: Run) -> Curve:
    """Pooled test accuracy per round, one line per arm with a finished round."""
    pooled = {
        name: [(item.number, item.pooled()) for item in rounds]
        for name, rounds in run.history.items()
        if rounds
    }
    lines = {
        name: tuple((n, None if own is None else float(accuracy(own))) for n, own in line)
        for name, line in pooled.items()
    }
    return Curve("Test accuracy per round", lines)


def client_panels(run: Run, looks: dict[str, Look]) -> list[dict[str, Any]]:
    """Accuracy per round at each client of the baseline's split, all arms in one panel."""
    baseline = run.baseline or run.arms[0]
    arms = [a for a in run.arms if a.split == baseline.split and run.history[a.name]]
    if not arms:
        return []
    clients = run.splits[baseline.split].clients
    tables = {
        arm.name: np.array([round_accuracies(r, clients) for r in run.history[arm.name]])
        for arm in arms
    }
    last = tables[arms[0].name][-1]
    worst_first = sorted(range(clients), key=lambda k: (math.isnan(last[k]), last[k], k))
    shown = sorted(worst_first[:MAX_PANELS])
    found = []
    for k in shown:
        series = [Series(name, looks[name], _points(table[:, k])) for name, table in tables.items()]
        text = "; ".join(f"{s.name} {amount(s.last, digits=0)}" for s in series)
        who = heading(run.client_name(k))
        chart = mini_chart(series, f"{who}: {text}", run.rounds)
        found.append({"caption": who, "chart": chart})
    return found


def gap_panels(summaries: list[ArmSummary]) -> list[panels.Panel]:
    """A table of dots per gap, a row per arm; the band is what chance alone makes."""
    return [
        panels.value_panel(
            name,
            title,
            {s.name: s.gaps[name] for s in summaries if name in s.gaps},
            chance={s.name: s.chance_gaps[name] for s in summaries if name in s.gaps},
            note="0 is even. Grey band: what chance alone makes.",
            zero=True,
        )
        for name, title in GAP_TITLES.items()
    ]


def group_panels(summaries: list[ArmSummary]) -> list[panels.Panel]:
    """A table of dots per arm, a row per group, a rule at the arm's accuracy."""
    return [
        panels.value_panel(
            s.name,
            f"Accuracy, {s.name}",
            s.group_accuracy,
            sizes={group: own.n for group, own in s.group_accuracy.items()},
            rule=s.accuracy.value,
            note=f"Dashed line: all groups, {amount(s.accuracy.value)}.",
        )
        for s in summaries
        if s.measured
    ]


def steering(run: Run, looks: dict[str, Look]) -> list[dict[str, Any]]:
    """Weights per client and round for every arm whose rule is not plain averaging."""
    return [
        {"arm": arm.name, **_steered(run, arm, looks[arm.name])}
        for arm in run.arms
        if arm.rule != "fedavg" and run.history[arm.name]
    ]


def _steered(run: Run, arm: Arm, look: Look) -> dict[str, Any]:
    clients, rounds = run.splits[arm.split].clients, run.history[arm.name]
    weights, shares = (np.full((len(rounds), clients), np.nan) for _ in range(2))
    guards: dict[int, list[int]] = {k: [] for k in range(clients)}
    for i, item in enumerate(rounds):
        total = sum(entry.n_real for entry in item.clients) or 1
        for entry in item.clients:
            weights[i, entry.client] = math.nan if entry.weight is None else entry.weight
            shares[i, entry.client] = entry.n_real / total
            if entry.guard:
                guards[entry.client].append(i)
    values = np.concatenate([weights.ravel(), shares.ravel()])
    top = float(values[np.isfinite(values)].max(initial=0.0)) * 1.1 or 1.0
    moved = np.nan_to_num(np.abs(weights - shares)).max(axis=0)
    shown = sorted(sorted(range(clients), key=lambda k: (-moved[k], k))[:MAX_PANELS])
    found = []
    for k in shown:
        data = Series("share of data", Look("ref", "3 3", "circle"), _points(shares[:, k]))
        line = Series("weight", look, _points(weights[:, k]))
        marks = [(i + 1, float(np.nan_to_num(weights[i, k]))) for i in guards[k]]
        small = f"{count(line.first, 3)} → {count(line.last, 3)}"
        who = heading(run.client_name(k))
        title = f"{who}: weight {small}, guard acted {len(marks)} times"
        chart = mini_chart([data, line], title, run.rounds, top, marks)
        found.append({"caption": who, "chart": chart, "small": small})
    return {"panels": found, "left_out": clients - len(shown)}


def gallery_rows(run: Run) -> list[dict[str, Any]]:
    """Inline the pictures of the gallery, cell by cell."""
    return [
        {
            "title": cell.class_name,
            "group": cell.group,
            "real": [
                _picture(path, f"real image {i} of {cell.class_name}, {cell.group}")
                for i, path in enumerate(cell.real[:MAX_REAL], 1)
            ],
            "synthetic": [
                _picture(own.file, f"synthetic image {i} of {cell.class_name}, {cell.group}", own)
                for i, own in enumerate(cell.synthetic[:MAX_SYNTHETIC], 1)
            ],
        }
        for cell in run.gallery[:MAX_CELLS]
    ]


def _picture(path: Path, alt: str, scored: SyntheticImage | None = None) -> dict[str, str]:
    """An inlined image with its alternative text and its scores."""
    score, margin = (scored.score, scored.margin) if scored else (None, None)
    return {
        "source": data_uri(path),
        "alt": alt,
        "score": "" if score is None else f"{score:.2f}",
        "margin": "" if margin is None else f"{margin:+.1f}".replace("-", MINUS),
    }


def data_uri(path: Path) -> str:
    """Inline a PNG."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: named in synthetic/gallery.json but cannot be read ({error.strerror})"
        ) from error
    if not data.startswith(b"\x89PNG"):
        raise InputError(f"{path}: named in synthetic/gallery.json but is no PNG")
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _points(values: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((i + 1, float(value)) for i, value in enumerate(values))
