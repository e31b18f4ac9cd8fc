"""What makes an audit of many groups fast changes no number, and no distribution."""

import numpy as np
import pytest

from evaluation.audit import score_replicates
from evaluation.audit.gaps import GapKind, gap_kinds, narrowed
from evaluation.audit.metrics import BY_GROUP
from evaluation.audit.score_replicates import drawn_rows


@pytest.mark.parametrize("listed", [0, 2**20])
def test_rows_one_by_one_are_a_multinomial_draw(
    listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_replicates, "LISTED", listed)
    rows, sizes = np.array([6, 0, 3, 1]), np.tile([[10, 0, 4]], (20_000, 1))
    drawn = drawn_rows(rows, sizes, np.random.default_rng(0))
    assert drawn.shape == (20_000, 3, 4)
    assert (drawn.sum(axis=-1) == sizes).all()
    assert not drawn[..., 1].any()
    assert drawn[:, 0].mean(axis=0) == pytest.approx([6, 0, 3, 1], abs=0.05)
    assert drawn[:, 0].var(axis=0) == pytest.approx([2.4, 0, 2.1, 0.9], abs=0.06)


def test_no_row_is_drawn_from_none() -> None:
    nothing = np.zeros(2, np.int64)
    assert not drawn_rows(nothing, nothing, np.random.default_rng(0)).any()


@pytest.mark.parametrize("kind", gap_kinds([BY_GROUP["accuracy"]]), ids=lambda kind: kind.name)
@pytest.mark.parametrize("least", [0.0, -0.1])
def test_a_gap_is_that_of_the_lowest_and_the_highest_group(kind: GapKind, least: float) -> None:
    rng = np.random.default_rng(1)
    groups, overall = rng.uniform(-0.1, 1, (500, 7, 3)), rng.uniform(least, 1, (500, 1, 3))
    groups[rng.random(groups.shape) < 0.5] = np.nan
    groups[:9] = 0.0
    overall[:5] = 0.0
    ends = narrowed((groups, overall))
    expected = kind.value({"accuracy": (groups, overall)}, "macro")
    assert np.array_equal(kind.value({"accuracy": ends}, "macro"), expected, equal_nan=True)
    assert (ends[0].shape == (500, 2, 3)) == (least == 0.0)
