"""What the terminal shows of an augmentation: it fits 80 columns and hides nothing important."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from evaluation.quality import Embedded, assess
from fairfed.cli.augment_tables import _duration, print_audit, print_curation, print_summary
from fairfed.cli.quality_tables import print_quality
from generators.audit import GeneratorAudit, judge_shares
from generators.group_reading import GroupReading

WIDTH = 80
CLASSES, GROUPS = ("Ankle boot", "Bag"), ("day", "lamp")


@pytest.fixture
def console() -> Console:
    return Console(width=WIDTH, file=io.StringIO(), color_system=None)


def _shown(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def _text(console: Console) -> str:
    """All that was shown, whatever the line breaks."""
    return " ".join(" ".join(_shown(console)).split())


def _embedded(rng: np.random.Generator, cells: dict[tuple[str, str], int]) -> Embedded:
    labels = [cell for cell, count in cells.items() for _ in range(count)]
    vectors = rng.normal(size=(len(labels), 8)).astype(np.float32)
    vectors[:, 0] += 3 * np.array([CLASSES.index(name) for name, _ in labels])
    return Embedded(vectors, [c for c, _ in labels], [g for _, g in labels])


def test_quality_is_one_line_a_cell_and_says_what_is_not_known(console: Console) -> None:
    rng = np.random.default_rng(0)
    every = {(c, g): 30 for c in CLASSES for g in GROUPS}
    made = {("Ankle boot", "lamp"): 30, ("Bag", "lamp"): 30, ("Bag", "day"): 3}
    report = assess(
        _embedded(rng, every), _embedded(rng, made), training=_embedded(rng, every), seed=0
    )
    print_quality(console, report)
    lines = _shown(console)
    assert max(map(len, lines)) <= WIDTH
    row = next(line for line in lines if line.startswith("Ankle boot × lamp"))
    assert row.split()[4:6] == ["30", "30"]
    precision = report.cells["Ankle boot × lamp"]["precision"].value
    assert precision is not None
    assert row.split()[6] == f"{100 * precision:.0f}"
    text = _text(console)
    assert "No numbers for Bag × day: 3 synthetic images, needs 10" in text
    # What nobody filled is no row, and its absence needs no excuse.
    assert "Ankle boot × day" not in text
    assert "synthetic → real" in text
    assert "chance alone stays under" in text


def test_without_synthetic_images_there_is_no_table(console: Console) -> None:
    rng = np.random.default_rng(0)
    every = {(c, g): 30 for c in CLASSES for g in GROUPS}
    print_quality(console, assess(_embedded(rng, every), _embedded(rng, {}), seed=0))
    assert _shown(console) == []


def _audit(p_value: float) -> GeneratorAudit:
    rng, target = np.random.default_rng(0), np.array([0.5, 0.5])
    shares = [
        judge_shares(name, np.array(counts), target, 1.0, 0.95, rng)
        for name, counts in (("Ankle boot", (32, 0)), ("Bag", (15, 17)), ("all classes", (47, 17)))
    ]
    return GeneratorAudit(
        generator="g", scorer="s", seed=0, level=0.95, groups=GROUPS, columns=(0, 1),
        classes=tuple(shares[:2]), overall=shares[2],
        reading=GroupReading(((20, 20), (20, 20)), 80, 0.5, (0.39, 0.61), 0.5, p_value),
    )  # fmt: skip


def test_an_audit_names_biased_classes_and_says_when_it_means_nothing(console: Console) -> None:
    print_audit(console, _audit(p_value=0.5))
    lines = _shown(console)
    assert max(map(len, lines)) <= WIDTH
    assert any(line.startswith("! Ankle boot") and "100 [89–100]" in line for line in lines)
    assert any(line.startswith("  Bag") for line in lines)
    text = _text(console)
    assert "target: day 50%, lamp 50%" in text
    assert "these shares mean nothing" in text


def test_an_audit_that_clip_can_read_is_not_doubted(console: Console) -> None:
    print_audit(console, _audit(p_value=0.001))
    assert "mean nothing" not in _text(console)


def _curation(**further: Any) -> dict[str, Any]:
    visible = {"n": 90, "visible": True, "accuracy": 0.9, "chance": 0.5}
    return {
        "cells": [], "rejected": {"margin": 2}, "short": 0, "groups_read": visible,
        "accepted": 5, "requested": 5, "replacements": 2, **further,
    }  # fmt: skip


def test_groups_that_clip_does_not_see_are_mentioned_where_images_are_judged(
    console: Console,
) -> None:
    print_curation(console, _curation())
    assert "does not see" not in _text(console)
    blind = {"n": 90, "visible": False, "accuracy": 0.5, "chance": 0.49}
    print_curation(console, _curation(groups_read=blind))
    text = _text(console)
    assert "of 90 real images it reads 50% rightly, 49% by chance" in text


def test_the_summary_counts_every_image_once(console: Console) -> None:
    plan = {"cost": {"made_to_time": 3}}
    print_summary(console, plan, {"made": 1, "reused": 4}, _curation())
    text = _text(console)
    assert "6 images made (3 of them to time the plan, 2 to replace rejected ones)" in text
    assert "1 taken from the store" in text
    assert "5 of 5 accepted, 2 rejected (2 margin)" in text


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (0.0, 3.0, "0–3 s"),
        (40.0, 119.0, "40–119 s"),
        (90.0, 180.0, "1.5–3.0 min"),
        (1800.0, 9000.0, "0.5–2.5 h"),
        (36000.0, 72000.0, "10–20 h"),
    ],
)
def test_durations_have_the_unit_that_suits_them(least: float, most: float, said: str) -> None:
    assert _duration(least, most) == said
