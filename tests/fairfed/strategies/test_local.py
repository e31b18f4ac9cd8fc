"""What is asked of the clients' training: reweighing, weights by cell, the proximal term."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fairfed.models import train_epochs
from fairfed.strategies.local import fairbatch, loss_weights, reweighing


def test_reweighing_by_hand() -> None:
    """Kamiran & Calders: 10 rows, group 0 has 5 (3 of class 1), class 1 has 4."""
    weights = reweighing(np.array([[2, 3], [4, 1]]))
    assert weights == pytest.approx(np.array([[0.3 / 0.2, 0.2 / 0.3], [0.3 / 0.4, 0.2 / 0.1]]))
    assert reweighing(np.zeros((2, 2))).tolist() == [[1.0, 1.0], [1.0, 1.0]]


@given(st.lists(st.integers(1, 50), min_size=6, max_size=6))
def test_reweighed_group_and_class_are_independent(cells: list[int]) -> None:
    held = np.reshape(cells, (2, 3))
    joint = reweighing(held) * held / held.sum()
    assert joint.sum() == pytest.approx(1)
    assert joint == pytest.approx(np.outer(joint.sum(1), joint.sum(0)))


def test_a_missing_cell_weighs_nothing_and_breaks_nothing() -> None:
    held = np.array([[4, 0], [2, 2]])
    weights = reweighing(held)
    assert np.isfinite(weights).all()
    assert weights[0, 0] == pytest.approx(4 * 6 / 8 / 4)


def test_loss_weights_of_rows() -> None:
    groups, labels = np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1])
    given = {"groups": groups, "labels": labels, "shape": (2, 2)}
    assert loss_weights(**given, reweigh=False, cell_weights=None) is None
    table = np.array([[1.0, 2.0], [3.0, 4.0]])
    sent = loss_weights(**given, reweigh=False, cell_weights=table)
    assert sent is not None
    assert sent.tolist() == [1.0, 1.0, 3.0, 4.0]
    both = loss_weights(**given, reweigh=True, cell_weights=table)
    assert both is not None
    assert both == pytest.approx([0.75, 0.75, 4.5, 2.0])
    # 3 of 4 rows are of class 0, a half of group 0: the target asks for a quarter of each cell
    quarters = np.full((2, 2), 0.25)
    even = loss_weights(**given, reweigh=False, cell_weights=None, cell_target=quarters)
    assert even is not None
    assert even == pytest.approx([0.5, 0.5, 1.0, 1.0])
    # a row that is sampled twice as often counts as two
    sampled = loss_weights(
        **given, reweigh=True, cell_weights=None, sampling=np.array([1.0, 1, 1, 2])
    )
    twice = loss_weights(
        np.append(groups, 1), np.append(labels, 1), (2, 2), reweigh=True, cell_weights=None
    )
    assert sampled is not None
    assert twice is not None
    assert sampled.tolist() == twice[:4].tolist()


def step(**further: Any) -> torch.Tensor:
    """Train a linear model one step on two rows and return its weights."""
    model = nn.Linear(2, 2, bias=False)
    nn.init.ones_(model.weight)
    train_epochs(
        model, torch.eye(2), torch.tensor([0, 1]), epochs=further.pop("epochs", 1), batch_size=2,
        lr=1.0, generator=torch.Generator().manual_seed(0), **further,
    )  # fmt: skip
    return model.weight.detach()


def test_loss_weights_scale_a_rows_gradient() -> None:
    plain, moved = step() - 1, step(loss_weights=torch.tensor([3.0, 0.0])) - 1
    assert torch.allclose(moved[:, 0], 3 * plain[:, 0])
    assert moved[:, 1].tolist() == [0.0, 0.0]
    assert torch.equal(step(loss_weights=torch.ones(2)), step())


def test_the_proximal_term_pulls_back_by_mu() -> None:
    """After one step w_1 the gradient gains mu (w_1 - w_0); the first step has none."""
    assert torch.equal(step(proximal=0.5), step())
    free, held = step(epochs=2), step(epochs=2, proximal=0.5)
    assert torch.allclose(held, free - 0.5 * (step() - 1), atol=1e-6)


def test_the_pull_can_be_towards_another_model() -> None:
    """The first step already feels it: w_1 = w_0 - (gradient + mu (w_0 - anchor))."""
    anchor = nn.Linear(2, 2, bias=False)
    nn.init.zeros_(anchor.weight)
    pulled = step(proximal=0.25, anchor=anchor)
    assert torch.allclose(pulled, step() - 0.25 * torch.ones(2, 2))


def test_fairbatch_moves_weight_to_the_group_that_is_misjudged() -> None:
    """Shares (.75, .25), errors (0, 1): f = (-.5, .5), so a step of .2 gives (.65, .35)."""
    counts = np.array([[[3, 0], [0, 3]], [[0, 1], [1, 0]]], np.int64)
    shares, weights = fairbatch(counts, None, 0.2)
    assert shares == pytest.approx(np.array([[0.65] * 2, [0.35] * 2]))
    assert weights == pytest.approx(np.array([[0.65 / 0.75] * 2, [0.35 / 0.25] * 2]))
    again, _ = fairbatch(counts, shares, 0.2)
    assert again == pytest.approx(np.array([[0.55] * 2, [0.45] * 2]))
    alone = np.array([[[3, 1], [0, 4]], [[0, 0], [0, 0]]], np.int64)
    assert fairbatch(alone, None, 0.2)[1].tolist() == [[1.0, 1.0], [1.0, 1.0]]
