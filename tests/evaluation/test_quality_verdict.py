"""Words for how far synthetic images resemble real ones."""

from __future__ import annotations

import pytest

from evaluation.quality.measured import Measured
from evaluation.quality.verdict import verdict


def _overall(kid: float, precision: float, coverage: float) -> dict[str, Measured]:
    return {
        "kid": Measured(kid, 200, 100, expected=0.0, chance=0.07),
        "precision": Measured(precision, 200, 100),
        "coverage": Measured(coverage, 200, 100, expected=0.92),
    }


@pytest.mark.parametrize(
    ("kid", "precision", "coverage", "level"),
    [
        (0.05, 0.9, 0.9, "alike"),
        (0.07, 0.1, 0.1, "alike"),  # within chance, whatever the others say
        (0.20, 1.0, 0.52, "apart"),
        (5.68, 0.0, 0.0, "unlike"),
        (1.11, 0.9, 0.22, "unlike"),
        (1.11, 0.19, 0.9, "unlike"),
    ],
)
def test_levels(kid: float, precision: float, coverage: float, level: str) -> None:
    found = verdict(_overall(kid, precision, coverage), {})
    assert found.level == level
    assert ("do not train on them" in found.words) == (level == "unlike")


def test_too_few_images_are_no_verdict() -> None:
    few = Measured(None, 3, 2, reason="3 real images, needs 10")
    found = verdict({"kid": few, "precision": few, "coverage": few}, {})
    assert found.level == "unknown"
    assert "3 real images, needs 10" in found.words


def test_other_shares_of_the_cells_are_no_fault() -> None:
    overall, near, far = _overall(0.9, 1.0, 0.5), _overall(0.05, 1.0, 0.9), _overall(0.3, 1.0, 0.5)
    assert verdict(overall, {"a": near, "b": near}).level == "alike"
    assert verdict(overall, {"a": near, "b": far}).level == "apart"
