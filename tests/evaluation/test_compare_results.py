"""Runs of one system side by side: means, spread, differences paired by seed, refusals."""

import json
import math
from pathlib import Path

import pytest

from evaluation import InputError
from evaluation.compare_results import compare_results
from evaluation.report.results_page import write_tables
from tests.evaluation.systems import results, system_run

Rows = dict[str, tuple[float | None, float | None]]
FIRST: Rows = {"A": (0.5, 1.0), "B": (0.6, 2.0)}
SECOND: Rows = {"A": (0.7, 1.2), "B": (0.9, None)}


def runs(folder: Path, *of: Rows, more: str = "") -> list[Path]:
    return [
        system_run(folder / f"run-{seed}", results(rows, seed=seed), seed=seed, more=more)
        for seed, rows in enumerate(of)
    ]


def test_means_and_spread_over_seeds(tmp_path: Path) -> None:
    found = compare_results(runs(tmp_path, FIRST, SECOND))
    means, differences = found.tables
    assert [column.title for column in means.columns] == ["method", "seeds", "accuracy", "loss"]
    name, seeds, accuracy, loss = means.rows[0]
    assert (name, seeds) == ("A", 2)
    assert accuracy == pytest.approx((0.6, math.sqrt(0.02)))
    assert loss == pytest.approx((1.1, math.sqrt(0.02)))
    assert means.rows[1][3] == (2.0, None)  # one seed has no loss
    assert means.texts()[0][2] == "60.0 ± 14.1"
    # B less A: 0.1 and 0.2; Student's quantile of one degree of freedom is 12.71
    assert differences.title == "Differences from A"
    assert differences.rows == (("B", 2, "≈ +15.0 (−48.5 to +78.5)", "– +1.00000"),)
    assert found.warnings == ()


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    found = compare_results(runs(tmp_path, FIRST))
    assert len(found.tables) == 1
    assert found.tables[0].rows[0] == ("A", 1, (0.5, None), (1.0, None))
    assert "No configuration was run with two seeds" in found.warnings[0]


def test_a_clear_difference_has_a_side(tmp_path: Path) -> None:
    rows: list[Rows] = [{"A": (0.5, 1.0), "B": (0.6 + n / 1000, 1.5)} for n in range(3)]
    (row,) = compare_results(runs(tmp_path, *rows)).tables[1].rows
    assert str(row[2]).startswith("▲ +10.1")
    assert str(row[3]).startswith("▼ +0.50000")


def test_configurations_are_told_apart(tmp_path: Path) -> None:
    one = runs(tmp_path / "one", FIRST, SECOND)
    other = runs(tmp_path / "other", SECOND, FIRST, more="fraction = 0.5")
    means = compare_results([*one, *other]).tables[0]
    assert [row[:3] for row in means.rows] == [
        ("demo", "A", 2), ("demo", "B", 2), ("demo (2)", "A", 2), ("demo (2)", "B", 2),
    ]  # fmt: skip


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    (run,) = runs(tmp_path / "peers", FIRST)
    again = system_run(tmp_path / "again", results(FIRST))
    with pytest.raises(InputError, match="same configuration with the same seed 0"):
        compare_results([run, again])
    other = system_run(tmp_path / "zsl", results(FIRST, system="zsl"), system="zsl")
    with pytest.raises(InputError, match=r"a run of \[peers\] and .* one of \[zsl\]"):
        compare_results([run, other])
    under_way = system_run(tmp_path / "under way", None, seed=5)
    with pytest.raises(InputError, match="has no results yet"):
        compare_results([run, under_way])


def test_the_comparison_is_written(tmp_path: Path) -> None:
    found = compare_results(runs(tmp_path / "runs", FIRST, SECOND))
    paths = write_tables(found, tmp_path / "out", "comparison", "fairfed compare")
    assert "60.0 ± 14.1" in paths["html"].read_text("utf-8")
    assert paths["md"].read_text("utf-8").startswith("# Comparison of runs: 4 peers\n")
    data = json.loads(paths["json"].read_text("utf-8"))
    assert data["tables"][0]["rows"][0][2] == pytest.approx([0.6, math.sqrt(0.02)])
