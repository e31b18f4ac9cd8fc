"""SCAFFOLD's arithmetic by hand, and what comes of it over rounds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from torch import nn

from fairfed.config import Arm, Config
from fairfed.engines.private import server_identity
from fairfed.models import train_epochs
from fairfed.strategies.aggregation import Outcome
from fairfed.strategies.replies import ClientReply, RejectedReply
from fairfed.strategies.signals import no_signal
from fairfed.strategies.weights import Weights
from fairfed.systems.classifier.scaffold import (
    ClientVariate,
    Scaffold,
    gradient_weight,
    local_steps,
)
from fairfed.systems.classifier.training import _gradient_weight


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


def test_the_divisor_has_the_rate_that_the_model_trains_with() -> None:
    arm = Arm(name="A", control_variates=True, adapt="head")
    config = Config.model_validate(
        {"model": "clip", "adapt": {"lr": {"head": 2.0}}, "train": {"momentum": 0.0}}
    )
    request = SimpleNamespace(study=config, arm=arm, round=1)
    assert _gradient_weight(request, 2 * config.train.batch_size) == pytest.approx(2 * 2.0)


def test_a_client_that_trains_on_nothing_keeps_its_variate() -> None:
    context = _context()
    context.state["scaffold-a"] = _server(0.3, -0.3)
    variate = ClientVariate(context, "a", _server(0.2, -0.1), Scores())
    assert variate.finish(gradient_weight(0, 0.4, 0.9))["scores"].numpy().tolist() == [0, 0]
    kept = context.state.array_records["scaffold-a"]["scores"].numpy()
    assert kept == pytest.approx(np.array([0.3, -0.3]))


# both sides

IMAGES = torch.zeros(8, 1, 1, 3, dtype=torch.uint8)
LABELS = (torch.tensor([0] * 7 + [1]), torch.tensor([0] + [1] * 7), torch.tensor([0] + [1] * 7))
POOLED = 9 / 24
"""How often class 0 is among the labels of all three: the optimum of `Scores`."""


def _reply(client: int) -> ClientReply:
    counts = np.zeros((1, 2, 2), np.int64)
    return ClientReply(client, 0.0, 8.0, 0.0, counts, 0.0, ArrayRecord())


class Federation:
    """Three clients with other labels each, and a server that averages them."""

    def __init__(self) -> None:
        self.strategy, self.model = Scaffold((1, 2)), {"scores": np.zeros(2, np.float32)}
        self.strategy._sites = {1: 0, 2: 1, 3: 2}
        self.contexts = [_context() for _ in LABELS]

    def round(self, clients: tuple[int, ...], lr: float, momentum: float, corrected: bool) -> None:
        record = ArrayRecord({"scores": Array(self.model["scores"])})
        with server_identity(1):
            (request, *_) = self.strategy._requests("train", 1, record, ConfigRecord(), [7])
        control, trained, replies = request.content.array_records["control"], [], []
        for client in clients:
            model = Scores()
            model.load_state_dict(record.to_torch_state_dict())
            variate = ClientVariate(self.contexts[client], "a", control, model)
            train_epochs(
                model, IMAGES, LABELS[client], epochs=20, batch_size=8, lr=lr, momentum=momentum,
                generator=torch.Generator().manual_seed(0),
                correction=variate.correction if corrected else None,
            )  # fmt: skip
            change = variate.finish(gradient_weight(20, lr, momentum))
            sent = RecordDict({"control": change})
            with server_identity(1):
                self.strategy._read_further(Message(sent, 7, "train"), client)
            trained.append(model.scores.detach().numpy().copy())
            replies.append(_reply(client))
        shares = np.full(len(clients), 1 / len(clients))
        mean = {"scores": np.mean(trained, axis=0)}
        weights = Weights(shares, shares, (None,) * len(clients))
        outcome = Outcome(no_signal(len(clients)), weights, mean)
        self.strategy._conclude(1, replies, outcome)
        self.model = mean

    @property
    def share(self) -> float:
        """The probability that the model gives to class 0."""
        return float(torch.softmax(torch.from_numpy(self.model["scores"]), 0)[0])

    @property
    def control(self) -> list[float]:
        return [float(value) for value in self.strategy.state_arrays()["control/scores"]]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_clients_that_drift_apart_reach_the_optimum_of_all_rows(momentum: float) -> None:
    """FedAvg ends beside it, for each client goes most of the way to its own."""
    lr = 0.2 * (1 - momentum)
    ours, plain = Federation(), Federation()
    for _ in range(60):
        ours.round((0, 1, 2), lr, momentum, corrected=True)
        plain.round((0, 1, 2), lr, momentum, corrected=False)
    assert ours.share == pytest.approx(POOLED, abs=1e-4)
    assert abs(plain.share - POOLED) > 0.005


def test_the_servers_variate_is_the_mean_of_the_clients_whoever_takes_part() -> None:
    federation = Federation()
    for clients in ((0, 1, 2), (1,), (0, 2), (2,)):
        federation.round(clients, 0.1, 0.0, corrected=True)
        own = [c.state.array_records.get("scaffold-a") for c in federation.contexts]
        mean = np.mean([v["scores"].numpy() for v in own if v is not None], axis=0)
        assert federation.control == pytest.approx(mean, abs=1e-6)
