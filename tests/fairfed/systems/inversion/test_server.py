"""The server's part of Fed-ZDAS: its pool and fine-tuning; and the log of what clients spent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord
from torch import nn

from fairfed.config import Config
from fairfed.models import build_model
from fairfed.rounds.arrays import Model
from fairfed.strategies.aggregation import Outcome
from fairfed.strategies.replies import ClientReply
from fairfed.strategies.signals import no_signal
from fairfed.strategies.steered import FairnessSteered
from fairfed.strategies.weights import Weights
from fairfed.systems.classifier.build import build_strategy
from fairfed.systems.inversion import server as server_module
from fairfed.systems.inversion.server import ClientInversion, ServerInversion
from semantic.errors import InputError
from tests.fairfed.runs import place_of

Small = Callable[..., Config]
SERVER = 'arms=[{name="Z", inversion="server"}]'
QUICK = ("inversion.steps=2", "inversion.per_class=4", "inversion.company=2", "inversion.start=2")
HELD = {0: [0, 1], 1: [1, 2], 2: [0]}


def _arrays(model: nn.Module) -> Model:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def _reply(client: int, held: list[int], **said: Any) -> ClientReply:
    counts = np.zeros((2, 3, 3), np.int64)
    counts[:, held, 1] = 5
    said = {"loss": 0.5, "n_real": 10.0, "n_synthetic": 0.0, "seconds": 1.0} | said
    return ClientReply(client=client, counts=counts, arrays=ArrayRecord(), **said)


def _outcome(model: Model | None, weights: list[float]) -> Outcome:
    w = np.array(weights)
    return Outcome(no_signal(len(w)), Weights(w, w, (None,) * len(w)), model)


def _after(
    part: ServerInversion, number: int, models: dict[int, Model], weights: list[float]
) -> tuple[Outcome, dict[str, Any] | None]:
    replies = [_reply(client, held) for client, held in HELD.items()]
    return part.after(number, _outcome(models[0], weights), replies, models)


@pytest.fixture
def models() -> dict[int, Model]:
    return {k: _arrays(build_model("cnn-bn", 3, 16, seed=k)) for k in range(3)}


def test_the_server_inverts_each_client_for_the_classes_it_has(
    small: Small, models: dict[int, Model]
) -> None:
    part = ServerInversion(place_of(small(SERVER, *QUICK)))
    outcome, entry = _after(part, 1, models, [0.5, 0.5, 0.0])
    assert outcome.model is models[0]  # too early
    assert entry is None
    outcome, entry = _after(part, 2, models, [0.5, 0.5, 0.0])  # client 2 has no say
    assert entry is not None
    assert entry["seconds"] > 0
    del entry["seconds"]
    assert entry == {"at": "server", "generated": 16, "pool": 16, "failed": {}, "flaw": None}
    pool = part.state_arrays()
    assert pool["labels"].tolist() == [0] * 4 + [1] * 8 + [2] * 4
    assert pool["images"].shape == (16, 16, 16, 3)
    assert outcome.model is not None
    assert {n: (v.shape, v.dtype) for n, v in outcome.model.items()} == {
        n: (v.shape, v.dtype) for n, v in models[0].items()
    }
    assert not np.array_equal(outcome.model["head.weight"], models[0]["head.weight"])


def test_the_pool_holds_the_newest_of_a_class(small: Small, models: dict[int, Model]) -> None:
    settings = ("inversion.pool=6", "inversion.source=aggregate", "inversion.every=2")
    part = ServerInversion(place_of(small(SERVER, *QUICK, *settings)))
    _after(part, 2, models, [1.0, 0.0, 0.0])  # only client 0 weighs, which has no class 2
    first = part.state_arrays()
    assert first["labels"].tolist() == [0] * 4 + [1] * 4
    _, entry = _after(part, 3, models, [1.0, 0.0, 0.0])
    assert entry is not None
    assert (entry["generated"], entry["pool"]) == (0, 8)  # fine-tuned, not inverted
    _after(part, 4, models, [0.5, 0.5, 0.0])
    labels, images = part.state_arrays()["labels"], part.state_arrays()["images"]
    assert np.bincount(labels).tolist() == [6, 6, 4]
    assert np.array_equal(images[labels == 0][:2], first["images"][first["labels"] == 0][2:])


def test_one_bad_model_neither_ends_the_run_nor_enters_the_pool(
    small: Small, models: dict[int, Model]
) -> None:
    part = ServerInversion(place_of(small(SERVER, *QUICK)))
    models[1] = {n: v * 1e30 if v.dtype == np.float32 else v for n, v in models[1].items()}
    _, entry = _after(part, 2, models, [0.4, 0.3, 0.3])
    assert entry is not None
    assert list(entry["failed"]) == ["client 1"]
    assert "finite" in entry["failed"]["client 1"]
    assert (entry["generated"], entry["flaw"]) == (12, None)


def test_a_tuning_that_diverges_leaves_the_aggregate(
    small: Small, models: dict[int, Model]
) -> None:
    part = ServerInversion(place_of(small(SERVER, *QUICK, "inversion.tune_lr=1e30")))
    outcome, entry = _after(part, 2, models, [0.4, 0.3, 0.3])
    assert outcome.model is models[0]
    assert entry is not None
    assert "not finite" in entry["flaw"]


def test_without_a_pool_or_an_aggregate_nothing_is_tuned(
    small: Small, models: dict[int, Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = ServerInversion(place_of(small(SERVER, *QUICK)))
    empty = [_reply(0, [])]
    outcome, entry = part.after(2, _outcome(models[0], [1.0]), empty, models)
    assert outcome.model is models[0]
    assert entry is not None
    assert entry["flaw"] == "the pool is empty"
    monkeypatch.setattr(server_module, "_sources", None)  # not even looked at
    assert part.after(2, _outcome(None, [0.0]), empty, models)[1] is None


def test_a_restored_pool_tunes_as_the_one_that_was_saved(
    small: Small, models: dict[int, Model]
) -> None:
    config = small(SERVER, *QUICK, "inversion.every=2")
    strategy = build_strategy(place_of(config), config.arms[0])
    assert isinstance(strategy.inversion, ServerInversion)
    _after(strategy.inversion, 2, models, [0.4, 0.3, 0.3])
    again = build_strategy(place_of(config), config.arms[0])
    again.load_state_dict(strategy.state_dict(), strategy.state_arrays())
    assert isinstance(again.inversion, ServerInversion)
    ends = [_after(p, 3, models, [0.4, 0.3, 0.3])[0].model
            for p in (strategy.inversion, again.inversion)]  # fmt: skip
    assert ends[0] is not None
    assert ends[1] is not None
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_checkpoint_of_another_inversion_is_refused() -> None:
    inverting, plain = FairnessSteered((2, 3), inversion=ClientInversion()), FairnessSteered((2, 3))
    state = inverting.state_dict()
    with pytest.raises(InputError, match="inversion='inversion at the server'"):
        inverting.load_state_dict({**state, "inversion": "inversion at the server"})
    with pytest.raises(InputError, match="inversion=None"):
        inverting.load_state_dict(plain.state_dict())
    with pytest.raises(InputError, match="inversion='inversion at the clients'"):
        plain.load_state_dict(state)
    with pytest.raises(InputError, match="none of this one's: pool/x"):
        plain.load_state_dict(plain.state_dict(), {"pool/x": np.zeros(1)})


def test_costs_of_clients_add_up_and_lies_about_them_do_not() -> None:
    replies = [
        _reply(0, [0], spent=(4.0, 0.0), inverting=1.5),
        _reply(1, [1], spent=(float("inf"), 4.0), inverting=-1.0),
    ]
    outcome = _outcome({}, [0.5, 0.5])
    same, entry = ClientInversion().after(3, outcome, replies, {})
    assert same is outcome
    assert entry == {"at": "client", "generated": 4, "reused": 4, "seconds": 1.5}
    assert ClientInversion().after(1, outcome, [_reply(0, [0])], {})[1] is None
    assert ClientInversion().after(1, _outcome(None, []), [], {})[1] is None
