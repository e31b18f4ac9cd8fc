"""What a client puts together at its own site."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fairfed.config import Config
from fairfed.sites.memory import Memory
from fairfed.sites.semantics import store_directory
from fairfed.sites.training_set import sampling_weights
from semantic.errors import InputError
from tests.fairfed.runs import site_of

Small = Callable[..., Config]
MODES = ("name", "attributes")


def test_balanced_weights_are_even_over_classes_and_sources() -> None:
    real, synthetic = np.array([0, 0, 0, 1]), np.array([1, 1, 2, 2, 2, 2])
    weights = sampling_weights(real, synthetic, 0.0, True)
    assert weights is not None
    labels = np.concatenate([real, synthetic])
    totals = [weights[labels == c].sum() for c in range(3)]
    assert totals == pytest.approx([1 / 3] * 3)
    assert weights[3] == pytest.approx(weights[4:6].sum())


def test_a_real_row_shares_its_weight_with_its_autoencoded_twin() -> None:
    real, synthetic = np.array([0, 1]), np.array([2])
    weights = sampling_weights(real, synthetic, 0.25, True)
    assert weights == pytest.approx([0.25, 0.25, 1 / 12, 1 / 12, 1 / 3])


def test_rows_that_count_the_same_have_no_weights() -> None:
    assert sampling_weights(np.array([0, 0]), np.array([1]), 0.0, False) is None


def test_training_set_puts_real_rows_first_and_counts_sources_apart(small: Small) -> None:
    config = small("synthesis.autoencode=0.5")
    site = site_of(config, 0)
    plain, both = (site.training_set(arm) for arm in config.arms[:2])
    assert (plain.n_real, plain.n_synthetic, plain.weights) == (24, 0, None)
    assert (both.n_real, both.n_synthetic) == (24, 8 + 2 * 4)
    assert len(both.inputs) == 24 + 24 + 16
    assert np.array_equal(both.inputs[:24].numpy(), plain.inputs.numpy())
    assert both.weights is not None
    assert float(both.weights.sum()) == pytest.approx(1)
    assert site.training_set(config.arms[1]) is both


def test_without_domain_matching_only_gaps_are_filled(small: Small) -> None:
    config = small("synthesis.domain_matching=false")
    both = site_of(config, 0).training_set(config.arms[1])
    assert both.n_synthetic == 8
    assert len(both.inputs) == 24 + 8


def test_client_that_lacks_nothing_trains_without_synthetic_images(small: Small) -> None:
    config = small(
        "synthesis.per_class=0", "synthesis.domain_matching_present=0", "synthesis.autoencode=0.5"
    )
    both = site_of(config, 0).training_set(config.arms[1])
    assert (both.n_real, both.n_synthetic, len(both.inputs)) == (24, 0, 48)


def test_cells_that_cannot_be_filled_at_all_say_what_to_change(small: Small) -> None:
    config = small("curation.margin=100")
    with pytest.raises(InputError, match="client a: none of the synthetic images was accepted"):
        site_of(config, 0).training_set(config.arms[1])


def test_memory_for_training_sets_is_bounded(small: Small) -> None:
    config = small("seed=5")
    site = site_of(config, 0)
    site.place.memory = Memory(site.training_set(config.arms[0]).nbytes())
    for client in (0, 1):
        site_of(config, client).training_set(config.arms[0])
    assert [key[1] for key in site.place.memory.keys] == ["b"]  # type: ignore[index]


def test_an_iid_arm_that_augments_fills_the_gaps_of_its_own_split(small: Small) -> None:
    config = small("arms=[{name='IID', iid=true, augment=true, domain_matching=false}]")
    assert site_of(config, 0, "iid").training_set(config.arms[0]).n_synthetic == 0


def test_a_site_holds_its_own_rows_and_no_others(small: Small) -> None:
    config = small()
    sites = [site_of(config, client) for client in range(3)]
    assert [site.name for site in sites] == ["a", "b", "c"]
    assert [len(site.table) for site in sites] == [32] * 3
    pixels = [{image.tobytes() for image in site.images.images} for site in sites]
    assert len(set.union(*pixels)) == sum(map(len, pixels)) == 96
    pooled = [site_of(config, client, pooled=True) for client in range(3)]
    assert [len(site.rows.train) for site in pooled] == [72, 0, 0]
    assert [len(site.rows.test) for site in pooled] == [8, 8, 8]


def test_store_is_in_the_users_cache_unless_configured(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert str(store_directory(Config().synthesis.store)) == "/cache/fairfed/synthetic"
    assert store_directory(small().synthesis.store).name == "store"


def _prompts(store: Path) -> set[str]:
    """Prompts of all images in a store."""
    rows = [line for path in store.rglob("*.jsonl") for line in path.read_text().splitlines()]
    return {json.loads(row)["prompt"] for row in rows if "prompt" in json.loads(row)}


def test_a_client_asks_by_the_attributes_that_an_arm_names(small: Small, described: str) -> None:
    arms = [f"{{name='{mode}', augment=true, conditioning='{mode}'}}" for mode in MODES]
    config = small(f"arms=[{', '.join(arms)}]", described)
    site, store = site_of(config, 0), Path(str(config.synthesis.store))
    site.synthesise(config.arms[0])
    assert _prompts(store) == {
        f"a photo of a {sex} {noun}" for sex in "fm" for noun in ("bag", "dress", "coat")
    }
    site.synthesise(config.arms[1])
    phrased = _prompts(store)
    assert any("coat, worn on the body, open front" in prompt for prompt in phrased)
    assert not any("dress, open front" in prompt for prompt in phrased)


def test_images_that_start_from_a_clients_own_are_its_own(small: Small) -> None:
    config = small("conditioning.start_from_real=true", "generator.steps=2")
    site, arm = site_of(config, 0), config.arms[1]
    made = site.synthesise(arm)
    assert len(made.labels) == 16
    cell = site.place.space.cell(0, 0)
    asked = site.synthesiser(arm).request(0, 0, 0, "client 0")
    assert asked.source is not None
    own = site.images.images[site.rows.train]
    assert any(np.array_equal(asked.source.pixels, image) for image in own)
    lacking = site.place.labels.classes.index("coat")
    assert site.synthesiser(arm).request(lacking, 0, 0, "client 0").source is None
    assert str(cell) == "bag × f"


def test_a_client_judges_images_by_its_own_real_ones(small: Small) -> None:
    config = small('curation.checks=["memorised"]', "curation.minimum=5")
    site, arm = site_of(config, 0), config.arms[1]
    pool = site.synthesiser(arm).pool(0, 0, 2)
    assert pool.thresholds["memorised"].n >= 5
    other = site_of(config, 1).synthesiser(arm).pool(0, 0, 2)
    assert other.thresholds["memorised"].value != pool.thresholds["memorised"].value
