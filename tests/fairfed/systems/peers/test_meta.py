"""Meta updates, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from fairfed.systems.peers.meta import fomaml, merge, passed_up, reptile


def _model(weight: list[float], mean: float = 0.0, batches: int = 0) -> dict[str, np.ndarray]:
    return {
        "weight": np.array(weight, np.float32),
        "norm.running_mean": np.array([mean], np.float32),
        "norm.num_batches_tracked": np.array(batches, np.int64),
    }


START = _model([1.0, 2.0], 5.0, 3)
ENDS = [_model([3.0, 2.0], 1.0, 4), _model([1.0, 6.0], 3.0, 8)]


def test_reptile_goes_part_of_the_way_to_the_mean() -> None:
    half = reptile(START, ENDS, 0.5)
    assert half["weight"].tolist() == [1.5, 3.0]
    assert half["weight"].dtype == np.float32
    assert reptile(START, ENDS, 1.0)["weight"].tolist() == [2.0, 4.0]
    assert reptile(START, ENDS, 2.0)["weight"].tolist() == [3.0, 6.0]


def test_fomaml_steps_against_the_mean_gradient() -> None:
    stepped = fomaml(START, ENDS, 0.5)
    assert stepped["weight"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("update", [reptile, fomaml])
def test_statistics_are_averaged_and_never_stepped(update: object) -> None:
    merged = update(START, ENDS, 0.1)  # type: ignore[operator]
    assert merged["norm.running_mean"].tolist() == [2.0]
    assert merged["norm.num_batches_tracked"] == 6
    assert merged["norm.num_batches_tracked"].dtype == np.int64


def test_next_level_gets_the_model_of_reptile_and_the_gradient_of_fomaml() -> None:
    merged = merge("reptile", START, ENDS, 1.0, lr=0.1)
    assert passed_up("reptile", merged, ENDS) is merged
    merged = merge("fomaml", START, ENDS, 1.0, lr=0.1)
    assert merged["weight"] == pytest.approx([0.8, 1.6])
    assert passed_up("fomaml", merged, ENDS)["weight"].tolist() == [2.0, 4.0]


def test_gradients_that_are_the_way_over_the_rate_make_reptile_of_fomaml() -> None:
    ways = [{**end, "weight": (START["weight"] - end["weight"]) / 0.1} for end in ENDS]
    one, other = merge("reptile", START, ENDS, 0.7, 0.1), merge("fomaml", START, ways, 0.7, 0.1)
    assert one["weight"] == pytest.approx(other["weight"], rel=1e-6)


def test_nothing_sent_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one model"):
        reptile(START, [], 1.0)
