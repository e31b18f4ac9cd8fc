"""The parts of the generative model: conditions, penalty, one round of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fairfed.config.zsl import ZslConfig
from fairfed.draws import generator_of
from fairfed.systems.zsl.gan import (
    Conditions,
    Discriminator,
    FeatureGenerator,
    Gan,
    Rows,
    gradient_penalty,
    initialise,
)
from fairfed.systems.zsl.judge import fit_softmax
from fairfed.systems.zsl.table import FeatureTable
from fairfed.systems.zsl.variants import VARIANTS

ZSL = ZslConfig(hidden=32, lr=1e-2, batch_size=32, local_epochs=25)


def _table(rectified: bool = False) -> FeatureTable:
    rng = np.random.default_rng(0)
    means = np.array([[2, 0, 0, -1], [0, 2, 0, -1]], np.float32)
    labels = np.repeat([0, 1], 64)
    return FeatureTable(
        features=means[labels] + 0.1 * rng.normal(size=(128, 4)).astype(np.float32),
        labels=labels,
        test=np.zeros(128, bool),
        classes=("a", "b"),
        attributes=np.eye(2, 3, dtype=np.float32),
        texts=np.eye(2, 5, dtype=np.float32),
        rectified=rectified,
    )


def _draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_variants_see_attributes_text_and_fresh_noise() -> None:
    table, labels = _table(), torch.tensor([1, 1])
    drawn = {
        name: Conditions(table, VARIANTS[name], 0.1).draw(labels, _draw())
        for name in ("attributes", "text", "ska")
    }
    assert drawn["attributes"].tolist() == [[0, 1, 0], [0, 1, 0]]
    assert drawn["text"].tolist() == [[0, 1, 0, 0, 1, 0, 0, 0]] * 2
    noise = drawn["ska"] - drawn["text"]
    assert torch.count_nonzero(noise[:, :3]) == 0
    assert not torch.equal(noise[0], noise[1])
    many = Conditions(table, VARIANTS["ska"], 0.1).draw(torch.zeros(4000, dtype=int), _draw())
    assert many[:, 3:].std(0).numpy() == pytest.approx(np.full(5, 0.1), rel=0.1)


def test_the_discriminator_sees_attributes_and_no_text() -> None:
    table = _table()
    assert Discriminator(table, ZSL).layers[0].in_features == 4 + 3
    sizes = {n: FeatureGenerator(table, v, ZSL).layers[0].in_features for n, v in VARIANTS.items()}
    assert (sizes["ska"], sizes["text"], sizes["attributes"]) == (3 + 3 + 5, 3 + 3 + 5, 3 + 3)


def test_only_rectified_features_have_a_rectified_generator() -> None:
    for rectified in (False, True):
        table = _table(rectified)
        maker = FeatureGenerator(table, VARIANTS["attributes"], ZSL)
        initialise(maker, _draw())
        conditions = Conditions(table, VARIANTS["attributes"], 0.0)
        made = maker(conditions.draw(torch.zeros(50, dtype=int), _draw()), _draw())
        assert bool((made < 0).any()) != rectified


def test_penalty_of_a_linear_critic_is_its_distance_from_length_1() -> None:
    class Linear(torch.nn.Module):
        def forward(self, features: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor:
            return features @ torch.tensor([[3.0], [4.0]]) + attributes.sum()

    rows = torch.randn(6, 2, generator=_draw())
    found = gradient_penalty(Linear(), rows, -rows, torch.ones(6, 3), _draw())
    assert float(found) == pytest.approx((5 - 1) ** 2)


def test_training_moves_the_generator_towards_real_features_and_freezes_the_classifier() -> None:
    table, variant = _table(), VARIANTS["attributes"]
    labels = torch.from_numpy(table.labels)
    rows = Rows(torch.from_numpy(table.features), labels, labels)
    maker, critic = FeatureGenerator(table, variant, ZSL), Discriminator(table, ZSL)
    initialise(maker, _draw())
    initialise(critic, _draw())
    how = ZslConfig(classifier_epochs=2, classifier_lr=0.1, batch_size=32)
    told = fit_softmax(rows.features, labels, (0, 1), how, _draw())
    before = told.weight.clone()
    conditions = Conditions(table, variant, 0.0)

    def distance() -> float:
        with torch.no_grad():
            made = maker(conditions.draw(labels, _draw()), _draw())
        means = [(made[labels == c].mean(0) - rows.features[labels == c].mean(0)) for c in (0, 1)]
        return float(torch.stack(means).norm())

    start = distance()
    losses = Gan(maker, critic, told, rows, conditions, ZSL, _draw()).train()
    assert distance() < 0.5 * start
    assert torch.equal(told.weight, before)
    assert all(np.isfinite(losses))


def test_random_numbers_differ_by_purpose_seed_and_round() -> None:
    drawn = {
        float(torch.rand((), generator=generator_of(*key)))
        for key in ((101, 0, 1), (102, 0, 1), (101, 1, 1), (101, 0, 2))
    }
    assert len(drawn) == 4
