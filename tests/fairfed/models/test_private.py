"""DP-SGD: what it is without noise, how far one row can move it, and how much noise there is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fairfed.models import private
from fairfed.models.private import sampling_rates, train_privately, unfit

ROWS = 40


def _model() -> nn.Linear:
    model = nn.Linear(6, 3)
    with torch.no_grad():
        model.weight.fill_(0.1)
        model.bias.zero_()
    return model


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    """Features and labels."""
    draws = torch.Generator().manual_seed(0)
    return torch.randn(ROWS, 6, generator=draws), torch.arange(ROWS) % 3


def _moved(data: tuple[Tensor, Tensor], rates: Tensor, **how: Any) -> Tensor:
    """How far a training has moved all parameters, as one vector."""
    settings = {"steps": 1, "noise": 0.0, "clip": 1e6, "lr": 1.0, **how}
    model, start = _model(), _model()
    train_privately(model, *data, rates=rates, **settings)
    pairs = zip(model.parameters(), start.parameters(), strict=True)
    return torch.cat([(a - b).detach().ravel() for a, b in pairs])


def test_without_noise_and_clipping_it_is_plain_descent(data: tuple[Tensor, Tensor]) -> None:
    model = _model()
    steps = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    for _ in range(3):
        steps.zero_grad()
        nn.functional.cross_entropy(model(data[0]), data[1]).backward()
        steps.step()
    plain = torch.cat([(a - b).detach().ravel() for a, b in
                       zip(model.parameters(), _model().parameters(), strict=True)])  # fmt: skip
    found = _moved(data, torch.ones(ROWS).double(), steps=3, lr=0.5, momentum=0.9)
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-6)


def test_one_row_moves_a_step_by_the_clip_at_most(data: tuple[Tensor, Tensor]) -> None:
    features = data[0].clone()
    features[7] *= 1e4
    with_row = torch.ones(ROWS).double()
    without = with_row.clone()
    without[7] = 0
    how = {"clip": 0.3, "loss_weights": torch.full((ROWS,), 50.0)}
    one = _moved((features, data[1]), with_row, **how) * ROWS
    other = _moved((features, data[1]), without, **how) * (ROWS - 1)
    assert float((one - other).norm()) == pytest.approx(0.3, rel=1e-3)


def test_the_noise_is_as_large_as_said(data: tuple[Tensor, Tensor]) -> None:
    rates = torch.zeros(ROWS).double()  # nobody is drawn: noise alone
    moved = torch.cat([_moved(data, rates, noise=4.0, clip=0.5) for _ in range(100)])
    assert float(moved.std()) == pytest.approx(2.0, rel=0.06)  # of 2,100: 4 standard errors
    assert abs(float(moved.mean())) < 0.2


def test_rows_in_chunks_are_one_step(
    data: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _moved(data, torch.ones(ROWS).double(), clip=0.5)
    monkeypatch.setattr(private, "CHUNK", 7)
    torch.testing.assert_close(_moved(data, torch.ones(ROWS).double(), clip=0.5), whole)


def test_two_trainings_differ_and_the_model_is_plain_afterwards(
    data: tuple[Tensor, Tensor],
) -> None:
    rates = sampling_rates(ROWS, 10, None)
    one, other = (_moved(data, rates, noise=1.0, clip=1.0, steps=2) for _ in range(2))
    assert not torch.equal(one, other)
    model = _model()
    train_privately(model, *data, rates=rates, steps=1, noise=1.0, clip=1.0, lr=0.1)
    assert list(model.state_dict()) == ["weight", "bias"]
    assert not hasattr(model.weight, "grad_sample")
    assert not model._forward_hooks


def test_rates_are_a_batch_on_average() -> None:
    assert sampling_rates(50, 10, None).tolist() == [0.2] * 50
    weighted = sampling_rates(4, 2, torch.tensor([1.0, 1.0, 2.0, 4.0]))
    assert weighted.tolist() == [0.25, 0.25, 0.5, 1.0]
    assert sampling_rates(3, 10, None).tolist() == [1.0] * 3


@pytest.fixture
def mixing() -> nn.Module:
    """A network whose rows see each other."""
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))


def test_a_layer_that_mixes_rows_is_named(mixing: nn.Module) -> None:
    assert "BatchNorm" in (unfit(mixing) or "")
    assert unfit(_model()) is None
