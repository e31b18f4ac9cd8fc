"""What has diverged does not stay in a client's state."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, Context, RecordDict

import fairfed.models.training as training
from fairfed.config import Config
from fairfed.sites.state import keep
from tests.fairfed.runs import logged, play


def _record(*values: float) -> ArrayRecord:
    return ArrayRecord({"w": Array(np.array(values)), "steps": Array(np.array([3]))})


def test_a_record_is_replaced_by_finite_ones_alone(caplog: pytest.LogCaptureFixture) -> None:
    context = Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})
    keep(context, "x", _record(1.0, 2.0))
    keep(context, "x", _record(3.0, 4.0))
    with caplog.at_level(logging.WARNING, "fairfed"):
        keep(context, "x", _record(5.0, float("nan")))
    assert context.state.array_records["x"]["w"].numpy().tolist() == [3.0, 4.0]
    assert "its last good 'x'" in caplog.text


@pytest.mark.parametrize(
    "arm", ['{name="A", control_variates=true}', '{name="A", personal=0.1}', '{name="A"}']
)
def test_a_client_that_diverged_once_takes_part_again(
    small: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    plain, calls = training.train_epochs, []

    def once(model: Any, *given: Any, **how: Any) -> Any:
        found = plain(model, *given, **how)
        calls.append(model)
        if len(calls) == 1:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.fill_(float("nan"))
        return found

    monkeypatch.setattr("fairfed.models.train_epochs", once)
    config = small(f"arms=[{arm}]", "rounds=3", "workers=1")
    play(config)
    rows = [line["clients"][0] for line in logged(config)]
    assert [row["error"] for row in rows[1:]] == [None, None]
    assert all(row["test_loss"] is not None for row in rows[1:])
