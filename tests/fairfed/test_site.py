"""What a client puts together at its own site."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fairfed import site
from fairfed.config import Config
from fairfed.semantics import store_directory
from semantic.errors import InputError


def test_balanced_weights_are_even_over_classes_and_sources() -> None:
    real, synthetic = np.array([0, 0, 0, 1]), np.array([1, 1, 2, 2, 2, 2])
    weights = site._sampling_weights(real, synthetic, 0.0, True)
    labels = np.concatenate([real, synthetic])
    totals = [weights[labels == c].sum() for c in range(3)]
    assert totals == pytest.approx([1 / 3] * 3)
    assert weights[3] == pytest.approx(weights[4:6].sum())


def test_a_real_row_shares_its_weight_with_its_autoencoded_twin() -> None:
    real, synthetic = np.array([0, 1]), np.array([2])
    weights = site._sampling_weights(real, synthetic, 0.25, True)
    assert weights == pytest.approx([0.25, 0.25, 1 / 12, 1 / 12, 1 / 3])


def test_unbalanced_weights_take_every_row_alike() -> None:
    weights = site._sampling_weights(np.array([0, 0]), np.array([1]), 0.0, False)
    assert weights.tolist() == [1, 1, 1]


def test_training_set_puts_real_rows_first_and_counts_sources_apart(
    small: Callable[..., Config],
) -> None:
    config = small("augment.autoencode=0.5")
    toml = config.to_toml()
    plain, both = (site.training_set(toml, arm, 0) for arm in config.arms[:2])
    assert (plain.n_real, plain.n_synthetic, plain.weights) == (24, 0, None)
    assert (both.n_real, both.n_synthetic) == (24, 8 + 2 * 4)
    assert len(both.inputs) == 24 + 24 + 16
    assert np.array_equal(both.inputs[:24].numpy(), plain.inputs.numpy())
    assert both.weights is not None
    assert float(both.weights.sum()) == pytest.approx(1)
    assert site.training_set(toml, config.arms[1], 0) is both


def test_without_domain_matching_only_gaps_are_filled(small: Callable[..., Config]) -> None:
    config = small("augment.domain_matching=false")
    both = site.training_set(config.to_toml(), config.arms[1], 0)
    assert both.n_synthetic == 8
    assert len(both.inputs) == 24 + 8


def test_client_that_lacks_nothing_trains_without_synthetic_images(
    small: Callable[..., Config],
) -> None:
    config = small(
        "augment.per_class=0", "augment.domain_matching_present=0", "augment.autoencode=0.5"
    )
    both = site.training_set(config.to_toml(), config.arms[1], 0)
    assert (both.n_real, both.n_synthetic, len(both.inputs)) == (24, 0, 48)


def test_cells_that_cannot_be_filled_at_all_say_what_to_change(
    small: Callable[..., Config],
) -> None:
    config = small("augment.margin=100")
    with pytest.raises(InputError, match="none of the synthetic images was accepted"):
        site.training_set(config.to_toml(), config.arms[1], 0)


def test_memory_for_training_sets_is_bounded(
    small: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small("seed=5")
    first = site.training_set(config.to_toml(), config.arms[0], 0)
    monkeypatch.setattr(site, "KEPT_BYTES", first.inputs.nbytes)
    site.training_set(config.to_toml(), config.arms[0], 1)
    assert [key[2] for key in site._kept] == [1]


def test_an_iid_arm_that_augments_fills_the_gaps_of_its_own_split(
    small: Callable[..., Config],
) -> None:
    arm = "arms=[{name='IID', iid=true, augment=true, domain_matching=false}]"
    config = small(arm)
    assert site.training_set(config.to_toml(), config.arms[0], 0).n_synthetic == 0


def test_store_is_in_the_users_cache_unless_configured(
    small: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert str(store_directory(Config().augment.store)) == "/cache/fairfed/synthetic"
    assert store_directory(small().augment.store).name == "store"
