"""What a peer computes on its own rows, against a calculation by hand."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairfed.config import parse_config
from fairfed.draws import generator_of
from fairfed.sites.site import Site
from fairfed.systems.peers import learning
from fairfed.systems.peers.learning import PeerSite, first_order, local_steps
from semantic.prototypes import sum_prototypes

INPUTS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, -1.0]])
LABELS = torch.tensor([0, 1, 1, 0])


def _gradient(weight: torch.Tensor) -> torch.Tensor:
    """Gradient of the mean cross-entropy of a linear model without bias: (p - y)ᵀ x / n."""
    probabilities = (INPUTS @ weight.T).softmax(1)
    return (probabilities - F.one_hot(LABELS, 2)).T @ INPUTS / len(LABELS)


def _linear() -> nn.Linear:
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.3, -0.2], [0.1, 0.4]]))
    return model


def test_first_order_sends_the_query_gradient_at_the_adapted_weights() -> None:
    # All rows are in every batch, and two gradients an epoch make one meta step.
    text = (
        "[train]\nbatch_size = 4\nepochs = 2\nlr = 0.5\nmomentum = 0.0\n[peers]\ninner_lr = 0.2\n"
    )
    model = _linear()
    start = model.weight.detach().clone()
    config = parse_config(text, "test")
    loss, sent = first_order(model, INPUTS, LABELS, config, generator_of(0))
    adapted = start - 0.2 * _gradient(start)
    expected = _gradient(adapted)
    np.testing.assert_allclose(sent["weight"].numpy(), expected.numpy(), rtol=1e-4, atol=1e-6)
    assert not np.allclose(expected.numpy(), _gradient(start).numpy(), rtol=1e-3)
    assert loss == pytest.approx(F.cross_entropy(INPUTS @ adapted.T, LABELS).item())


def test_first_order_takes_as_many_gradients_as_the_epochs_of_reptile() -> None:
    text = (
        "[train]\nbatch_size = 1\nepochs = 3\nlr = 0.1\nmomentum = 0.0\n"
        "[peers]\ninner_steps = 2\ninner_lr = 0.2\n"
    )
    model, calls = _linear(), []
    model.register_forward_hook(lambda *_: calls.append(1))
    first_order(model, INPUTS, LABELS, parse_config(text, "test"), generator_of(0))
    assert len(calls) == 12


def _releases(monkeypatch: pytest.MonkeyPatch, setting: str) -> list[np.ndarray]:
    """Prototypes of two releases of the same data."""
    sums = sum_prototypes(np.eye(3).repeat(40, 0), [0, 1, 1] * 40, ("a", "b"), encoder="e")
    monkeypatch.setattr(learning, "_sums", lambda site: sums)
    study = parse_config(f"[partition]\nclients = 4\n[peers]\nunseen = 1\n{setting}", "t")
    peer = PeerSite(cast("Site", SimpleNamespace(study=study)), "reptile", 0, 1)
    return [peer.release().prototype for _ in range(2)]


def test_noise_is_nobodys_to_know_unless_it_is_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = _releases(monkeypatch, "")
    assert not np.array_equal(one, other)
    one, other = _releases(monkeypatch, "seeded_noise = true")
    assert np.array_equal(one, other)


def test_local_steps_are_plain_gradient_steps() -> None:
    model = _linear()
    first = model.weight.detach().clone()
    local_steps(model, INPUTS, LABELS, [torch.arange(4)] * 2, 0.3)
    second = first - 0.3 * _gradient(first)
    torch.testing.assert_close(model.weight.detach(), second - 0.3 * _gradient(second))


def test_statistics_move_in_local_steps_and_come_with_the_gradient() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    before = copy.deepcopy(model)
    local_steps(model, INPUTS, LABELS, [torch.arange(4)], 0.1)
    moved = model[0].running_mean
    torch.testing.assert_close(moved, 0.1 * INPUTS.mean(0))
    config = parse_config("[train]\nbatch_size = 4\nepochs = 2\n[peers]\n", "test")
    _, sent = first_order(before, INPUTS, LABELS, config, generator_of(0))
    # One support and one query batch, both of all rows.
    np.testing.assert_allclose(
        sent["0.running_mean"].numpy(), (0.19 * INPUTS.mean(0)).numpy(), rtol=1e-5
    )
    assert sent["0.num_batches_tracked"].numpy() == 2
    assert sent["0.num_batches_tracked"].numpy().dtype == np.int64
