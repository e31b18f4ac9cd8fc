"""What counts of a reply that is no classifier's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fairfed.engines.inprocess import InProcessGrid
from fairfed.rounds.exchange import Client, Exchange, perform
from fairfed.rounds.replies import accepted_models, accepted_numbers, as_row

LIKE = {"x": np.zeros(2, np.float32)}
NORTH = Client(0, "north", 1000)
HONEST: dict[str, Any] = {"n-real": 10, "loss": 1.5}


def _row(said: dict[str, Any], data: bytes | None = None) -> dict[str, Any]:
    """The row of a client that says this and sends a model, or these bytes for one."""
    app = ClientApp()
    array = Array(np.ones(2, np.float32))
    array.data = data if data is not None else array.data
    records = {"metrics": MetricRecord(said), "arrays": ArrayRecord({"x": array})}

    @app.train()
    def train(message: Message, context: object) -> Message:
        return Message(RecordDict(records), reply_to=message)

    with InProcessGrid(app, 1, wire=True) as grid:
        answers = perform(grid, [NORTH], Exchange.alike("train", [0], {}), 60)
    numbers = accepted_numbers(answers, HONEST)
    models = accepted_models(answers, LIKE)
    assert bool(models) == bool(answers.replies) == (not answers.errors)
    return {**as_row(numbers.get(0, {})), "error": answers.errors.get(0)}


def test_numbers_of_an_honest_reply_are_in_the_row() -> None:
    assert _row(HONEST) == {"n_real": 10, "loss": 1.5, "error": None}
    assert isinstance(_row({**HONEST, "n-real": 10.0})["n_real"], int)


@pytest.mark.parametrize("n", [float("nan"), float("inf"), 1.7e308, 10.5, -1, 2**53, [1, 2]])
def test_a_count_must_be_a_count(n: Any) -> None:
    assert "no whole number 'n-real'" in _row({**HONEST, "n-real": n})["error"]


def test_a_rejected_reply_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    reason = _row({**HONEST, "loss": float("nan")})["error"]
    assert [r.message for r in caplog.records] == [f"reply of client north rejected: {reason}"]
    _row(HONEST, b"")
    assert len(caplog.records) == 2


@pytest.mark.parametrize("loss", [float("nan"), float("-inf"), 1.7e308])
def test_a_number_must_leave_its_sums_finite(loss: float) -> None:
    assert "no finite number 'loss'" in _row({**HONEST, "loss": loss})["error"]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04cut"])
def test_a_model_that_cannot_be_read_is_an_error(data: bytes) -> None:
    assert "array 'x' cannot be read" in _row(HONEST, data)["error"]
