"""The quality report: every measure with its n, every refusal with its reason."""

import json
import subprocess
import sys

import numpy as np
import pytest

from evaluation import InputError
from evaluation.quality import Embedded, QualityReport, assess, kid, manifold_measures

CELLS = (("bag", "red"), ("bag", "blue"), ("boot", "red"), ("boot", "blue"))


def images(seed: int, sizes: tuple[int, ...]) -> Embedded:
    """Unit embeddings, so many of each cell, apart by class."""
    rng = np.random.default_rng(seed)
    cells = [cell for cell, n in zip(CELLS, sizes, strict=True) for _ in range(n)]
    centres = np.array([[2.0 * (c == "bag"), 2.0 * (c == "boot"), 0, 0] for c, _ in cells])
    vectors = rng.normal(centres, 1.0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embedded(vectors, [c for c, _ in cells], [g for _, g in cells])


REAL, TRAINING = images(0, (30, 30, 30, 30)), images(1, (30, 30, 40, 0))
SYNTHETIC = images(2, (30, 8, 30, 0))


@pytest.fixture(scope="module")
def report() -> QualityReport:
    return assess(REAL, SYNTHETIC, training=TRAINING, subsets=5)


def test_a_cell_is_measured_on_its_own_images(report: QualityReport) -> None:
    real, synthetic = (
        x.vectors[(x.classes == "bag") & (x.groups == "red")] for x in (REAL, SYNTHETIC)
    )
    cell = report.cells["bag × red"]
    for name, measure in manifold_measures(real, synthetic).items():
        assert cell[name] == measure
    assert cell["kid"].value == pytest.approx(kid(real, synthetic, gamma=1.0).value)
    assert cell["transfer_recall"].n_real == 30
    assert (cell["transfer_recall"].value or 0) > 0.7


def test_overall_is_over_the_cells_that_have_both(report: QualityReport) -> None:
    assert list(report.cells) == ["bag × blue", "bag × red", "boot × blue", "boot × red"]
    assert report.left_out == ("boot × blue",)
    precision = report.overall["precision"]
    assert (precision.n_real, precision.n_synthetic) == (90, 68)
    assert report.settings["kid_gamma"] == pytest.approx(1)


def test_refusals_say_where_and_why(report: QualityReport) -> None:
    assert report.cells["bag × blue"]["precision"].reason == "8 synthetic images, needs 10"
    notes = report.notes()
    assert "bag × blue: 8 synthetic images, needs 20" in notes
    assert "boot × blue: 0 synthetic images, needs 10" in notes
    blue_boots = report.cells["boot × blue"]["transfer_recall"]
    assert blue_boots.value is not None  # red boots teach what a blue boot is
    assert blue_boots.n_synthetic == 0


def test_memorisation_is_checked_where_training_images_are_given(report: QualityReport) -> None:
    assert report.overall["closer_than_5%"].expected == 0.05
    assert report.overall["membership_auc"].n_real == 190  # no blue boots to train with
    without = assess(REAL, SYNTHETIC, subsets=2).overall
    assert without["membership_auc"].reason == "no training images were given"
    same = assess(REAL, SYNTHETIC, training=REAL, subsets=2).overall
    assert same["closer_than_1%"].value is not None
    assert "none are held out" in same["membership_auc"].reason


def test_json_is_plain_and_whole(report: QualityReport) -> None:
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data == report.to_json()
    refused = data["cells"]["bag × blue"]["precision"]
    assert refused["value"] is None
    assert (refused["n_synthetic"], refused["reason"]) == (8, "8 synthetic images, needs 10")
    assert data["classification"][0]["direction"] == "synthetic → real"
    assert np.sum(data["classification"][0]["counts"]) == 120


def test_the_tables_have_a_row_per_cell_and_per_class(report: QualityReport) -> None:
    rows = report.rows()
    assert [row["cell"] for row in rows] == ["overall", *report.cells]
    assert len({tuple(row) for row in rows}) == 1
    blue = next(row for row in rows if row["cell"] == "bag × blue")
    assert (blue["n real"], blue["n synthetic"], blue["precision"]) == ("30", "8", "–")
    assert rows[0]["precision"].endswith("]")
    assert "chance" in rows[0]["cmmd"]
    assert [row["class"] for row in report.score_rows()] == ["overall", "bag", "boot"]


def test_the_same_input_gives_the_same_report(report: QualityReport) -> None:
    again = assess(REAL, SYNTHETIC, training=TRAINING, subsets=5)
    assert again.to_json() == report.to_json()


def test_nothing_in_common_is_refused_throughout() -> None:
    found = assess(images(3, (30, 0, 0, 0)), images(4, (0, 0, 30, 0)))
    assert found.left_out == ("bag × red", "boot × red")
    assert all(measure.value is None for measure in found.overall.values())
    assert all(m.value is None for cell in found.cells.values() for m in cell.values())
    assert "overall: fewer than two classes have 20 images of either kind" in found.notes()
    assert {row["synthetic → real"] for row in found.score_rows()} == {"–"}
    with pytest.raises(InputError, match="same encoder"):
        assess(REAL, Embedded(np.zeros((3, 9)), ["bag"] * 3))


def test_importing_it_costs_numpy_only() -> None:
    heavy = ("torch", "sklearn", "scipy", "semantic", "generators", "fairfed")
    program = f"import sys, evaluation.quality; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
