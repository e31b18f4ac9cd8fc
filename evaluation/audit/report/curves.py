"""Curves of an audit: score densities, calibration, and what thresholds by group could reach."""

from __future__ import annotations

import math

from markupsafe import Markup

from evaluation.audit.report.judged import Data, cross
from evaluation.report.charts import Dot, xy_chart
from evaluation.report.drawing import DASHES, MARKS, PALETTE, Axes, Look, Series, mark_svg
from evaluation.report.scales import nice_scale

MOST = 8
"""Groups that curves are drawn of: more lines cannot be told apart. The tables have all."""


def scores(item: Data) -> Data:
    """Densities and calibration of the largest groups, with the legend."""
    sizes = [own["n"] for own in item["metrics"][0]["groups"]] if item["metrics"] else []
    known = [n if isinstance(n, int) else 0 for n in sizes] or [0] * len(item["groups"])
    order = sorted(range(len(known)), key=lambda i: (-known[i], i))[:MOST]
    shown = sorted(order)
    # Colour, line and mark differ, so that colour never stands alone.
    looks = {
        i: Look(f"c{k % PALETTE}", DASHES[k % len(DASHES)], MARKS[k % len(MARKS)])
        for k, i in enumerate(shown)
    }
    return {
        "legend": [(mark_svg(looks[i]), item["groups"][i]) for i in shown],
        "left_out": len(known) - len(shown),
        "shown": shown,
        "density": _densities(item, looks),
        "calibration": _calibration(item, looks),
    }


def _densities(item: Data, looks: dict[int, Look]) -> Markup | None:
    if not item["densities"] or not any(item["densities"]):
        return None
    series = []
    for i, look in looks.items():
        own = item["densities"][i]
        points = tuple(
            ((b + 0.5) / len(own), math.nan if share is None else share)
            for b, share in enumerate(own)
        )
        series.append(Series(item["groups"][i], look, points))
    top = [y for s in series for _, y in s.defined]
    axes = Axes(nice_scale([0, 1], "number"), nice_scale(top, zero=True), "score", "share of rows")
    title = f"Distribution of scores by {cross(item['by'])}"
    return xy_chart(axes, series, title, marks=False)


def _calibration(item: Data, looks: dict[int, Look]) -> Markup | None:
    if not any(item["calibration"]):
        return None
    series = [
        Series(
            item["groups"][i],
            look,
            tuple((mean, math.nan if rate is None else rate) for mean, rate, _ in
                  item["calibration"][i] if mean is not None),
        )
        for i, look in looks.items()
    ]  # fmt: skip
    unit = nice_scale([0, 1], "share")
    axes = Axes(unit, unit, "mean score", "observed rate")
    title = f"Observed rate against mean score by {cross(item['by'])}; the diagonal is calibrated"
    return xy_chart(axes, series, title, diagonal=True)


def frontier(item: Data) -> Data:
    """Accuracy against the gap that thresholds by group reach, and where predictions are now."""
    look, here = Look("c0", "", "circle"), Look("c1", "", "diamond")
    points = [p for p in item["points"] if p["accuracy"] is not None]
    line = Series("thresholds by group", look, tuple((p["gap"], p["accuracy"]) for p in points))
    now_gap, now = item["now"]
    dots = [] if now is None or now_gap is None else [Dot("now", here, now_gap, now)]
    constraint = item["constraint"].replace("_", " ")
    x = nice_scale([*(p["gap"] for p in points), now_gap], "points", zero=True)
    y = nice_scale([*(p["accuracy"] for p in points), now])
    axes = Axes(x, y, f"gap in {constraint}, points", "accuracy")
    title = f"Accuracy against the gap in {constraint} by {cross(item['by'])}"
    return {
        "item": item,
        "groups": item["groups"][:MOST],
        "left_out": max(0, len(item["groups"]) - MOST),
        "title": f"{cross(item['by'])}: {constraint}",
        "chart": xy_chart(axes, [line], title, dots=dots, named=True) if points else None,
        "legend": [(mark_svg(look), line.name), (mark_svg(here), "the predictions as they are")],
    }
