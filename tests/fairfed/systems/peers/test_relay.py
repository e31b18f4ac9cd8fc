"""The relay forwards; it does not compute."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fairfed.engines.inprocess import InProcessGrid
from fairfed.rounds.exchange import Answers, Client, Exchange, drive, perform
from fairfed.systems.peers import relay as relay_module
from fairfed.systems.peers.relay import Exchanged, PeerMessage, Relay, pack, unpack

PHASES = ("write", "read")
CLIENTS = [Client(peer, str(peer), 1000 + peer) for peer in range(3)]


def _toy(seen: list[tuple[int, PeerMessage]], broken: int = -1) -> ClientApp:
    """Peers that send their number to the next one, and remember what they were sent."""
    app = ClientApp()

    @app.query("peer")
    def peer(message: Message, context: Context) -> Message:
        me = int(context.node_config["partition-id"])
        config = message.content.config_records["config"]
        if me == broken and config["phase"] == "read":
            raise OSError("disk full")
        seen.extend((me, message) for message in unpack(message.content))
        out = []
        if config["phase"] == "write":
            arrays = ArrayRecord({"w": Array(np.full(3, me, np.float32))})
            out = [PeerMessage("number", me, ((me + 1) % 3,), "a → b", {"mine": me}, arrays)]
            out.append(
                PeerMessage("word", me, ((me + 1) % 3, (me + 2) % 3), "a → c", {"text": "hi"})
            )
        metrics = MetricRecord({"partition-id": me, str(config["phase"]): int(config["round"])})  # type: ignore[arg-type]
        return Message(RecordDict({"metrics": metrics, **pack(out)}), reply_to=message)

    return app


def _round(app: ClientApp, errors: dict[int, str] | None = None, **options: Any) -> Exchanged:
    with InProcessGrid(app, 3, wire=True) as grid:

        def ask(exchange: Exchange) -> Answers:
            answers = perform(grid, CLIENTS, exchange, 60)
            (errors if errors is not None else {}).update(answers.errors)
            return answers

        return drive(Relay(range(3), **options).round(4, PHASES, {"study": ""}), ask)


def test_letters_reach_whom_they_are_addressed_to_and_nobody_else() -> None:
    seen: list[tuple[int, PeerMessage]] = []
    exchanged = _round(_toy(seen))
    numbers = {(message.sender, peer) for peer, message in seen if message.kind == "number"}
    assert numbers == {(0, 1), (1, 2), (2, 0)}
    words = [(message.sender, peer) for peer, message in seen if message.kind == "word"]
    assert sorted(words) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    assert all(message.to == (peer,) for peer, message in seen)
    for _, message in seen:
        if message.arrays is not None:
            assert message.arrays["w"].numpy().tolist() == [message.sender] * 3
            assert message.fields == {"mine": message.sender}
    assert exchanged.reports[1] == {"partition-id": 1, "write": 4, "read": 4}


def test_messages_and_bytes_are_counted_by_link_and_peer() -> None:
    seen: list[tuple[int, PeerMessage]] = []
    exchanged = _round(_toy(seen))
    sizes = {message.kind: message.size for _, message in seen}
    number, word = exchanged.links["a → b"], exchanged.links["a → c"]
    assert (number.messages, number.bytes) == (3, 3 * sizes["number"])
    assert (word.messages, word.bytes) == (6, 6 * sizes["word"])
    assert sizes["number"] > 3 * 4
    each = sizes["number"] + 2 * sizes["word"]
    assert exchanged.sent == exchanged.received == dict.fromkeys(range(3), each)


def test_unreachable_and_failing_peers_are_done_without() -> None:
    seen: list[tuple[int, PeerMessage]] = []
    errors: dict[int, str] = {}
    exchanged = _round(
        _toy(seen), errors, gone=lambda peer, number, phase: peer == 0 and phase == "read"
    )
    assert {peer for peer, _ in seen} == {1, 2}
    assert exchanged.links["a → b"].undelivered == 1
    assert exchanged.links["a → c"].undelivered == 2
    assert errors == {}
    failing = _round(_toy([], broken=2), errors)
    assert failing.links["a → b"].undelivered == 1
    assert list(errors) == [2]
    assert "disk full" in errors[2]
    assert errors[2].startswith("read: ")


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every look into an array an error."""

    def refuse(array: Array) -> Any:
        raise AssertionError("an array was read")

    monkeypatch.setattr(Array, "numpy", refuse)


@pytest.mark.usefixtures("sealed")
def test_relay_reads_no_array() -> None:
    seen: list[tuple[int, PeerMessage]] = []
    _round(_toy(seen))
    assert sum(message.arrays is not None for _, message in seen) == 3


def test_relay_imports_nothing_that_computes() -> None:
    tree = ast.parse(Path(relay_module.__file__).read_text())
    names = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= {
        "__future__", "collections", "dataclasses", "fairfed", "flwr",
    }  # fmt: skip
    own = {name for name in names if name.startswith("fairfed.")}
    assert own <= {"fairfed.engines", "fairfed.rounds.exchange"}
