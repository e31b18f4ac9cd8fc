"""SCAFFOLD's arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, Context, RecordDict
from torch import nn

from fairfed.baselines.scaffold import ClientVariate, gradient_weight, local_steps
from fairfed.models import train_epochs


def _context() -> Context:
    return Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})


class Scores(nn.Module):
    """Two logits, the same for every row: the gradient is softmax minus frequency."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.scores.expand(len(images), 2)


def _train(model: nn.Module, correction: list[torch.Tensor], momentum: float = 0.0) -> None:
    images, labels = torch.zeros(4, 1, 1, 3, dtype=torch.uint8), torch.tensor([0, 0, 0, 1])
    train_epochs(
        model, images, labels, epochs=3, batch_size=4, lr=0.4, momentum=momentum,
        generator=torch.Generator().manual_seed(0), correction=correction,
    )  # fmt: skip


def _server(*values: float) -> ArrayRecord:
    return ArrayRecord({"scores": Array(np.array(values, np.float32))})


def test_a_step_is_gradient_plus_server_minus_own() -> None:
    model, context = Scores(), _context()
    variate = ClientVariate(context, "a", _server(0.5, -0.5), model)
    assert [c.tolist() for c in variate.correction] == [[0.5, -0.5]]
    images, labels = torch.zeros(2, 1, 1, 3, dtype=torch.uint8), torch.tensor([0, 1])
    train_epochs(
        model, images, labels, epochs=1, batch_size=2, lr=0.1,
        generator=torch.Generator().manual_seed(0), correction=variate.correction,
    )  # fmt: skip
    # The gradient of balanced labels is 0, so that only the correction moves the model.
    assert model.scores.tolist() == pytest.approx([-0.05, 0.05])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_new_variate_is_the_mean_gradient_that_was_seen(momentum: float) -> None:
    model, context = Scores(), _context()
    variate = ClientVariate(context, "a", _server(0.2, -0.1), model)
    seen: list[torch.Tensor] = []
    model.scores.register_hook(lambda gradient: seen.append(gradient.clone()))
    _train(model, variate.correction, momentum)
    change = variate.finish(gradient_weight(3, 0.4, momentum))["scores"].numpy()
    steps = np.arange(3, 0, -1)
    shares = np.ones(3) if not momentum else (1 - momentum**steps) / (1 - momentum)
    mean = np.average(np.stack(seen), axis=0, weights=shares)
    assert change == pytest.approx(mean, abs=1e-6)  # it was zero before
    kept = context.state.array_records["scaffold-a"]["scores"].numpy()
    assert kept == pytest.approx(mean, abs=1e-6)
    again = ClientVariate(context, "a", _server(0.2, -0.1), Scores())
    assert again.correction[0].numpy() == pytest.approx(np.array([0.2, -0.1]) - mean, abs=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_weight_of_gradients_is_the_way_of_a_constant_one(momentum: float) -> None:
    position, velocity = 0.0, 0.0
    for _ in range(7):
        velocity = momentum * velocity + 1.0
        position += 0.3 * velocity
    assert gradient_weight(7, 0.3, momentum) == pytest.approx(position)


def test_steps_are_batches_of_all_epochs() -> None:
    assert local_steps(65, 32, 2) == 6
    assert local_steps(64, 32, 1) == 2


def test_reply_without_or_with_a_bad_variate_is_rejected() -> None:
    from flwr.app import ConfigRecord, Message

    from fairfed.baselines.scaffold import Scaffold
    from fairfed.engines.private import server_identity
    from fairfed.strategies.replies import RejectedReply

    strategy = Scaffold((1, 2))
    model = ArrayRecord({"scores": Array(np.zeros(2, np.float32))})
    with server_identity(1):
        (request,) = strategy._requests("train", 1, model, ConfigRecord(), [7])
        assert request.content.array_records["control"]["scores"].numpy().tolist() == [0, 0]
        (other,) = strategy._requests("evaluate", 1, model, ConfigRecord(), [7])
        assert "control" not in other.content
        with pytest.raises(RejectedReply, match="no ArrayRecord 'control'"):
            strategy._read_further(Message(RecordDict({"arrays": model}), 7, "train"), 0)
        bad = RecordDict({"control": _server(float("nan"), 0.0)})
        with pytest.raises(RejectedReply, match="control: .*not finite"):
            strategy._read_further(Message(bad, 7, "train"), 0)
