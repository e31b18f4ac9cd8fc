"""The charts of the report from a run and its summaries."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from evaluation.client_names import heading
from evaluation.errors import InputError
from evaluation.numbers import MINUS, amount, count, span
from evaluation.rates import accuracy
from evaluation.records import Arm, GalleryCell, Round, Run, SyntheticImage
from evaluation.report import panels
from evaluation.report.charts import mini_chart
from evaluation.report.drawing import Series
from evaluation.report.strips import axis, strip
from evaluation.report.style import Look
from evaluation.report.words import GAP_TITLES
from evaluation.results import Curve
from evaluation.summary import ArmSummary, round_accuracies

MAX_PANELS = 24
MAX_REAL = 4
MAX_SYNTHETIC = 6
MAX_CELLS = 40


@dataclass(frozen=True)
class Panel:
    """A chart with a caption and a line of small print."""

    caption: str
    chart: Markup
    small: str = ""


@dataclass(frozen=True)
class Picture:
    """An inlined image with its alternative text and its scores."""

    source: str
    alt: str
    score: str = ""
    margin: str = ""


@dataclass(frozen=True)
class GalleryRow:
    """Real and synthetic pictures of one cell."""

    title: str
    group: str
    real: tuple[Picture, ...]
    synthetic: tuple[Picture, ...]


def arm_accuracies(rounds: tuple[Round, ...]) -> tuple[tuple[int, float | None], ...]:
    """Pooled test accuracy per round; None where no client reported."""
    pooled = [(item.number, item.pooled()) for item in rounds]
    return tuple((n, None if own is None else float(accuracy(own))) for n, own in pooled)


def learning_curve(run: Run) -> Curve:
    """Accuracy per round, one line per arm with a finished round."""
    lines = {name: arm_accuracies(rounds) for name, rounds in run.history.items() if rounds}
    return Curve("Test accuracy per round", lines)


def client_panels(run: Run, looks: dict[str, Look]) -> list[Panel]:
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
        series = [
            Series(name, looks[name], tuple((i + 1, float(v)) for i, v in enumerate(table[:, k])))
            for name, table in tables.items()
        ]
        text = "; ".join(f"{s.name} {amount(_last(s), digits=0)}" for s in series)
        who = heading(run.client_name(k))
        found.append(Panel(who, mini_chart(series, f"{who}: {text}", run.rounds)))
    return found


def gap_panels(summaries: list[ArmSummary]) -> list[panels.Panel]:
    """A table of dots per gap, a row per arm; the band is what chance alone makes."""
    found = []
    for name, title in GAP_TITLES.items():
        arms = [s for s in summaries if name in s.gaps]
        known: list[panels.Estimate] = [
            *(s.gaps[name] for s in arms),
            *(s.chance_gaps[name] for s in arms),
        ]
        scale = panels.scale_of(known, "share", zero=True)
        rows = tuple(
            panels.Row(
                s.name,
                strip(scale, *panels.parts(s.gaps[name]), chance=s.chance_gaps[name]),
                amount(s.gaps[name].value),
                span(s.gaps[name]),
                sort=s.gaps[name].value,
            )
            for s in arms
        )
        note = "0 is even. Grey band: what chance alone makes."
        found.append(panels.Panel(name, title, note, axis(scale), rows))
    return found


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


@dataclass(frozen=True)
class Steering:
    """Weights over rounds of one steered arm."""

    arm: str
    panels: tuple[Panel, ...]
    left_out: int


def steering(run: Run, looks: dict[str, Look]) -> list[Steering]:
    """Weights per client and round for every arm whose rule is not plain averaging."""
    return [
        _steered(run, arm, looks[arm.name])
        for arm in run.arms
        if arm.rule != "fedavg" and run.history[arm.name]
    ]


def _steered(run: Run, arm: Arm, look: Look) -> Steering:
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
        first, last = _first(line), _last(line)
        marks = [(i + 1, float(np.nan_to_num(weights[i, k]))) for i in guards[k]]
        small = f"{_weight(first)} → {_weight(last)}"
        who = heading(run.client_name(k))
        title = f"{who}: weight {small}, guard acted {len(marks)} times"
        found.append(Panel(who, mini_chart([data, line], title, run.rounds, top, marks), small))
    return Steering(arm.name, tuple(found), clients - len(shown))


def gallery_rows(run: Run) -> list[GalleryRow]:
    """Inline the pictures of the gallery, cell by cell."""
    return [_gallery_row(cell) for cell in run.gallery[:MAX_CELLS]]


def _gallery_row(cell: GalleryCell) -> GalleryRow:
    where = f"{cell.class_name}, {cell.group}"
    real = [
        Picture(data_uri(path), f"real image {i + 1} of {where}")
        for i, path in enumerate(cell.real[:MAX_REAL])
    ]
    synthetic = [
        Picture(data_uri(image.file), f"synthetic image {i + 1} of {where}", *_scores(image))
        for i, image in enumerate(cell.synthetic[:MAX_SYNTHETIC])
    ]
    return GalleryRow(cell.class_name, cell.group, tuple(real), tuple(synthetic))


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


def _scores(image: SyntheticImage) -> tuple[str, str]:
    score = "" if image.score is None else f"{image.score:.2f}"
    margin = "" if image.margin is None else f"{image.margin:+.1f}".replace("-", MINUS)
    return score, margin


def _points(values: np.ndarray) -> tuple[tuple[float, float], ...]:
    return tuple((i + 1, float(value)) for i, value in enumerate(values))


def _first(series: Series) -> float:
    return series.defined[0][1] if series.defined else math.nan


def _last(series: Series) -> float:
    return series.defined[-1][1] if series.defined else math.nan


def _weight(value: float) -> str:
    return count(value, 3)
