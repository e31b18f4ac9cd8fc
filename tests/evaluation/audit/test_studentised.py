"""The largest studentised difference of any two: that of looking at every pair."""

import numpy as np
import pytest

from evaluation.audit.studentised import FIRST, largest_ratios, pair_scales


@pytest.mark.parametrize("k", [2, 7, FIRST + 1, 150])
@pytest.mark.parametrize("shared", [0.0, 0.9])
@pytest.mark.parametrize("lost", [0.0, 0.1])
def test_it_is_that_of_all_pairs(k: int, shared: float, lost: float) -> None:
    rng = np.random.default_rng(k)
    spread = rng.uniform(0.1, 3.0, k)
    deviation = (rng.standard_normal((200, k)) + shared * rng.standard_normal((200, 1))) * spread
    deviation[rng.random((200, k)) < lost] = np.nan
    deviation[:, 1] = deviation[:, 0]  # two that never differ
    pairs = np.nan_to_num(deviation[:, :, None] - deviation[:, None, :])
    scales = np.sqrt((pairs**2).mean(axis=0))
    ratios = np.divide(np.abs(pairs), scales, out=np.zeros_like(pairs), where=scales > 0)
    assert np.allclose(pair_scales(deviation), scales, atol=1e-6, rtol=1e-9)
    assert np.allclose(largest_ratios(deviation, pair_scales(deviation)), ratios.max(axis=(1, 2)))
