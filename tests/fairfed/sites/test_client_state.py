"""A site's own state: a round at a time, taken back where a round is asked for again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from flwr.app import MetricRecord, RecordDict

from fairfed.sites.client_state import own_state
from fairfed.sites.request import Request
from semantic.errors import InputError


def answered(
    folder: Path, run: int, number: int, exchange: int = 0, arm: str = "a", fails: bool = False
) -> list[Any]:
    """What a request finds in its state; it then adds itself to it."""
    context = SimpleNamespace(state=RecordDict())
    message = SimpleNamespace(metadata=SimpleNamespace(run_id=run))
    sent = {"arm": arm, "exchange": exchange}
    request = cast(
        "Request", SimpleNamespace(message=message, context=context, sent=sent, round=number)
    )
    with own_state(request, folder):
        found = list(context.state.metric_records.get("seen", MetricRecord({"r": []}))["r"])
        context.state["seen"] = MetricRecord({"r": [*found, number]})
        if fails:
            raise OSError("the site's disk")
    assert not context.state
    return found


def test_what_one_round_leaves_the_next_one_finds(tmp_path: Path) -> None:
    assert [answered(tmp_path, 1, number) for number in (1, 2, 3)] == [[], [1], [1, 2]]
    assert answered(tmp_path, 1, 3) == [1, 2, 3]  # a second exchange of the same round
    assert answered(tmp_path, 1, 1, arm="b") == []


def test_another_run_asks_for_a_round_anew(tmp_path: Path) -> None:
    for number in (1, 2):
        answered(tmp_path, 1, number)
    assert answered(tmp_path, 2, 2) == [1]
    assert answered(tmp_path, 2, 3) == [1, 2]
    assert answered(tmp_path, 3, 1) == []  # a run that starts over


def test_a_request_that_is_sent_again_finds_what_it_found(tmp_path: Path) -> None:
    answered(tmp_path, 1, 1, exchange=4)
    assert answered(tmp_path, 1, 2, exchange=5) == [1]
    assert answered(tmp_path, 1, 2, exchange=5) == [1]
    assert answered(tmp_path, 1, 2, exchange=6) == [1, 2]


def test_a_question_outside_of_the_rounds_finds_the_last_state(tmp_path: Path) -> None:
    assert answered(tmp_path, 1, 0) == []
    assert answered(tmp_path, 1, 1) == [0]
    assert answered(tmp_path, 2, 0) == [0, 1]
    assert answered(tmp_path, 2, 2) == [0, 1, 0]


def test_nothing_is_kept_of_what_failed(tmp_path: Path) -> None:
    answered(tmp_path, 1, 1)
    with pytest.raises(OSError, match="disk"):
        answered(tmp_path, 1, 2, fails=True)
    assert answered(tmp_path, 1, 2) == [1]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    answered(tmp_path, 1, 1)
    (file,) = (tmp_path / "clients").iterdir()
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(InputError, match=r"a\.state is damaged .* remove it to go on without"):
        answered(tmp_path, 1, 2)
