"""The round loop: the log, failures, the draw, and resuming to the last bit."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fairfed.engines.inprocess import Drop, InProcessGrid
from fairfed.errors import RunError
from fairfed.rounds.arm_server import ArmServer, Plan, RoundResult
from fairfed.rounds.arrays import Model, encode
from fairfed.rounds.checkpoint import load, save
from fairfed.rounds.clients import handshake
from fairfed.rounds.exchange import Client, Exchange, Steps
from fairfed.rounds.loop import run_rounds
from fairfed.rounds.replies import accepted_numbers
from fairfed.strategies.arm_server import SteeredServer
from fairfed.strategies.optimisers import FedAvgM
from fairfed.strategies.signals import accuracy
from fairfed.strategies.steered import FairnessSteered
from semantic.errors import InputError

SHAPE = (1, 2)
Line = dict[str, Any]


def start() -> Model:
    return {"x": np.zeros(4, np.float32)}


def toy_app(broken: dict[int, int] | None = None) -> ClientApp:
    """Move x towards the partition id by a step that shrinks with the calls of this client.

    ``broken`` maps a client to the round in which its training raises.
    """
    app = ClientApp()

    @app.query("describe")
    def describe(msg: Message, context: Context) -> Message:
        metrics = MetricRecord({"partition-id": int(context.node_config["partition-id"])})
        return Message(RecordDict({"metrics": metrics}), reply_to=msg)

    def answer(msg: Message, client: int, x: np.ndarray, train: bool) -> Message:
        right = int(50 + 7 * client - 10 * abs(x[0] - client))
        metrics = {
            "partition-id": client,
            "loss": float(abs(x - client).mean()),
            "n-real": 10 + client,
            "counts": [right, 100 - right, 0, 0],
        }
        if train:
            metrics |= {"n-synthetic": 5, "seconds": 0.25}
        content = RecordDict({"metrics": MetricRecord(metrics)})
        if train:
            content["arrays"] = ArrayRecord({"x": Array(x.astype(np.float32))})
        return Message(content, reply_to=msg)

    @app.train()
    def train(msg: Message, context: Context) -> Message:
        client = int(context.node_config["partition-id"])
        if (broken or {}).get(client) == msg.content["config"]["round"]:
            raise RuntimeError(f"no memory at {client}")
        calls = 1
        if "calls" in context.state:
            calls += int(context.state.config_records["calls"]["n"])
        context.state["calls"] = ConfigRecord({"n": calls})
        x = msg.content["arrays"]["x"].numpy()
        rate = float(msg.content["config"]["rate"]) / calls
        return answer(msg, client, x + rate * (client - x), train=True)

    @app.evaluate()
    def evaluate(msg: Message, context: Context) -> Message:
        client = int(context.node_config["partition-id"])
        return answer(msg, client, msg.content["arrays"]["x"].numpy(), train=False)

    return app


def federate(
    rounds: int = 4,
    *,
    app: ClientApp | None = None,
    checkpoint: Path | None = None,
    log: Callable[[Line], None] | None = None,
    clients: int = 3,
    drop: Drop | None = None,
    beta: float = 0.3,
    workers: int = 1,
    grid_type: type[InProcessGrid] = InProcessGrid,
    arrays: Model | None = None,
    strategy: FairnessSteered | None = None,
    needed: int = 1,
    config: dict[str, Any] | None = None,
    **settings: Any,
) -> tuple[bytes, list[Line]]:
    """Run and return the bytes of the final model and the lines without their timings."""
    lines: list[Line] = []
    strategy = strategy or FairnessSteered(
        SHAPE, rule="fairfed", options={"beta": beta}, metric=accuracy
    )
    plan = Plan(rounds, **{"seed": 1, "timeout": 60, **settings})
    with grid_type(app or toy_app(), clients, drop=drop, workers=workers, wire=True) as grid:
        found = handshake(grid, needed, plan.timeout)
        server = SteeredServer(
            grid, found, plan, strategy, arrays or start(), config or {"rate": 0.5}
        )
        log = log or (lambda line: lines.append(json.loads(json.dumps(line, allow_nan=False))))
        final = run_rounds(grid, found, server, plan, log, checkpoint)
    for line in lines:
        del line["seconds"]
        for row in line["clients"]:
            del row["seconds"]
    return final["x"].tobytes(), lines


def test_a_line_has_the_keys_of_rounds_jsonl() -> None:
    seen: list[Line] = []
    federate(1, log=seen.append)
    (line,) = seen
    assert list(line) == ["round", "seconds", "clients"]
    row = line["clients"][2]
    assert list(row) == [
        "client", "name", "error", "bytes_down", "bytes_up", "n_real", "n_synthetic", "loss",
        "signal", "raw_weight", "weight", "drawn_down", "guard", "note", "seconds", "test_loss",
        "test_counts",
    ]  # fmt: skip
    assert (row["client"], row["name"], row["error"]) == (2, "2", None)
    assert (row["n_real"], row["n_synthetic"]) == (12, 5)
    size = encode(start()).count_bytes()
    assert (row["bytes_down"], row["bytes_up"]) == (2 * size, size)
    assert np.shape(row["test_counts"]) == (1, 2, 2)
    assert row["seconds"] == 0.25


def test_evaluation_is_of_the_new_model() -> None:
    data, lines = federate(1)
    x = np.frombuffer(data, np.float32)[0]
    losses = [row["test_loss"] for row in lines[0]["clients"]]
    assert losses == pytest.approx([abs(x - client) for client in range(3)])


@pytest.mark.parametrize("workers", [1, 3])
def test_two_runs_are_equal_whatever_the_workers_and_the_node_ids(workers: int) -> None:
    class Shuffled(InProcessGrid):
        """Gives its clients in another order each time, as engines with random ids do."""

        def get_node_ids(self) -> list[int]:
            return random.sample(nodes := list(super().get_node_ids()), len(nodes))

        def send_and_receive(
            self, messages: list[Message], *, timeout: float | None = None
        ) -> list[Message]:
            replies = list(super().send_and_receive(messages, timeout=timeout))
            return random.sample(replies, len(replies))

    expected = federate(clients=6, fraction=0.5)
    assert federate(clients=6, fraction=0.5, workers=workers, grid_type=Shuffled) == expected


def test_resume_after_a_crash_is_bit_identical(tmp_path: Path) -> None:
    path = tmp_path / "arm.npz"
    data, lines = federate(5, fraction=0.7, clients=5)
    before: list[Line] = []

    def crash_in_round_3(line: Line) -> None:
        if line["round"] == 3:
            raise KeyboardInterrupt
        before.append(line)

    with pytest.raises(KeyboardInterrupt):
        federate(5, fraction=0.7, clients=5, checkpoint=path, log=crash_in_round_3)
    assert load(path).round == 2
    resumed, after = federate(5, fraction=0.7, clients=5, checkpoint=path)
    assert [line["round"] for line in before] == [1, 2]
    assert after == lines[2:]
    assert resumed == data
    assert federate(5, fraction=0.7, clients=5, checkpoint=path) == (data, [])


def test_a_failing_client_is_an_entry_and_not_the_end() -> None:
    _, lines = federate(3, app=toy_app({1: 2}))
    errors = [[row["error"] for row in line["clients"]] for line in lines]
    assert errors[0] == errors[2] == [None, None, None]
    assert errors[1] == [None, "<class 'RuntimeError'>:<'no memory at 1'>", None]
    failed = lines[1]["clients"][1]
    assert (failed["weight"], failed["n_real"], failed["loss"]) == (0.0, 0, None)
    assert failed["test_counts"] is not None
    assert failed["bytes_up"] == 0
    assert sum(row["weight"] for row in lines[1]["clients"]) == pytest.approx(1.0)


def test_a_lost_reply_and_a_failed_evaluation_are_named() -> None:
    def drop(msg: Message, client: int) -> str | None:
        kind = msg.metadata.message_type
        if client == 0 and kind == "train":
            return "lost"
        return "cable cut" if client == 2 and kind == "evaluate" else None

    _, lines = federate(1, drop=drop, timeout=7)
    rows = lines[0]["clients"]
    assert [row["error"] for row in rows] == ["no reply within 7 s", None, "evaluate: cable cut"]
    assert rows[2]["test_counts"] is None
    assert rows[2]["weight"] > 0


def test_rounds_in_which_all_fail_keep_the_model_and_the_third_ends_the_run() -> None:
    lines: list[Line] = []

    def drop(msg: Message, client: int) -> str | None:
        return "power off" if msg.metadata.message_type == "train" else None

    with pytest.raises(RuntimeError, match=r"3 rounds in a row \(last: round 3\).*: power off"):
        federate(9, drop=drop, log=lines.append)
    assert [line["round"] for line in lines] == [1, 2, 3]
    assert {row["test_loss"] for row in lines[2]["clients"]} == {0.0, 1.0, 2.0}  # still x = 0


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_short_run_that_accepts_no_model_fails_and_names_the_arm(rounds: int) -> None:
    def drop(msg: Message, client: int) -> str | None:
        return "power off" if msg.metadata.message_type == "train" else None

    said = rf"arm 'toys': no client gave .* {rounds} rounds in a row .*: power off\. .*train.lr"
    with pytest.raises(RunError, match=said):
        federate(rounds, drop=drop, arm="toys")


def test_the_error_of_a_failed_run_is_that_of_a_client_that_was_asked() -> None:
    def drop(msg: Message, client: int) -> str | None:
        return "power off" if msg.metadata.message_type == "train" else None

    with pytest.raises(RunError, match="error of the last round is: power off"):
        federate(9, drop=drop, clients=6, fraction=0.34, seed=2)  # draws 3 and 5 at last


def test_a_run_that_no_client_failed_says_so() -> None:
    strategy = FairnessSteered(SHAPE, optimiser=FedAvgM(lr=1e300, momentum=0.0))
    with pytest.raises(RunError, match="is: none of a client; the warnings in the log"):
        federate(9, clients=4, strategy=strategy, fraction=0.5)


def test_failed_rounds_count_only_in_a_row() -> None:
    rounds_down = {1, 2, 4, 5}
    data, lines = federate(
        6,
        drop=lambda msg, c: (
            "down"
            if msg.metadata.message_type == "train"
            and msg.content["config"]["round"] in rounds_down
            else None
        ),
    )
    assert len(lines) == 6
    assert data != start()["x"].tobytes()


def test_only_the_drawn_clients_train_and_all_evaluate() -> None:
    _, lines = federate(3, clients=10, fraction=0.3)
    for line in lines:
        idle = [row for row in line["clients"] if row["note"] == "not drawn in this round"]
        assert len(idle) == 7
        assert not any(row["guard"] for row in idle)
        assert all(row["weight"] == 0 and row["error"] is None for row in idle)
        assert all(row["test_counts"] for row in line["clients"])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"seed": 2}, "of a run with seed 1, this run has seed 2"),
        ({"fraction": 0.5}, "with fraction 1.0, this run has fraction 0.5"),
        ({"clients": 4}, r"with clients \[0, 1, 2\], this run has clients \[0, 1, 2, 3\]"),
        ({"beta": 0.1}, "saved strategy is beta=0.3, this one has beta=0.1"),
        ({"arrays": {"y": np.zeros(2)}}, "of another model"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    tmp_path: Path, changes: dict[str, Any], text: str
) -> None:
    path = tmp_path / "arm.npz"
    federate(1, checkpoint=path)
    with pytest.raises(InputError, match=rf"arm\.npz.*{text}"):
        federate(2, checkpoint=path, **changes)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "arm.npz"
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"arm\.npz"):
        federate(1, checkpoint=path)


def test_missing_clients_are_waited_for_in_vain() -> None:
    with pytest.raises(TimeoutError, match="3 of 4 clients"):
        federate(1, needed=4, timeout=0)


class Twice(ArmServer):
    """Has its clients say their number, then their number plus the round, and keeps the sum."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def start(self) -> Model:
        return {"x": np.zeros(1)}

    def before(self, model: Model) -> Steps[None]:
        self.asked.append("before")
        yield Exchange.alike("train", [0, 1], {"add": 0}, encode(model))

    def round(self, number: int, model: Model) -> Steps[RoundResult]:
        self.asked.append(f"round {number}")
        first = yield Exchange.alike("train", [1, 0], {"add": 0}, encode(model))
        second = yield Exchange.alike("train", [0, 1], {"add": number}, label="again")
        said = accepted_numbers(second, ["n-said"])
        if number == 1:
            second.reject(0, "too small")
        total = sum(numbers["n-said"] for numbers in said.values())
        rows = {client: {"said": numbers["n-said"]} for client, numbers in said.items()}
        return RoundResult({"x": model["x"] + total}, rows, {"answers": list(first.replies)})

    def state(self) -> dict[str, Any]:
        return {"asked": self.asked}

    def restore(self, state: Mapping[str, Any], arrays: Model) -> None:
        self.asked = list(state["asked"])


def twice(rounds: int, path: Path, drop: Drop | None = None) -> tuple[Twice, float, list[Line]]:
    app, lines, server = ClientApp(), list[Line](), Twice()

    @app.train()
    def train(msg: Message, context: Context) -> Message:
        config = msg.content.config_records["config"]
        said = int(config["client"]) + int(config["add"])  # type: ignore[arg-type]
        return Message(RecordDict({"metrics": MetricRecord({"n-said": said})}), reply_to=msg)

    clients = [Client(0, "north", 1001), Client(1, "south", 1000)]
    with InProcessGrid(app, 2, drop=drop) as grid:
        model = run_rounds(grid, clients, server, Plan(rounds, 1, 60), lines.append, path)
    return server, float(model["x"][0]), lines


def test_any_system_runs_in_the_loop_and_goes_on_where_it_was(tmp_path: Path) -> None:
    whole, end, lines = twice(3, tmp_path / "whole.npz")
    assert whole.asked == ["before", "round 1", "round 2", "round 3"]
    assert end == sum((0 + n) + (1 + n) for n in (1, 2, 3))
    twice(1, tmp_path / "cut.npz")
    resumed, other_end, rest = twice(3, tmp_path / "cut.npz")
    assert (resumed.asked, other_end) == (whole.asked, end)
    assert [line["clients"] for line in rest] == [line["clients"] for line in lines[1:]]


def test_rows_have_name_bytes_and_the_first_error_with_its_exchange(tmp_path: Path) -> None:
    _, _, lines = twice(
        2,
        tmp_path / "arm.npz",
        drop=lambda msg, node: (
            "cut" if node == 0 and msg.content["config"].get("add", 0) == 2 else None
        ),
    )
    sent = {"bytes_down": encode({"x": np.zeros(1)}).count_bytes(), "bytes_up": 0}
    assert lines[0]["answers"] == [0, 1]
    assert [line["clients"] for line in lines] == [
        [
            {"client": 0, "name": "north", "error": "again: too small", **sent, "said": 1},
            {"client": 1, "name": "south", "error": None, **sent, "said": 2},
        ],
        [
            {"client": 0, "name": "north", "error": None, **sent, "said": 2},
            {"client": 1, "name": "south", "error": "again: cut", **sent},
        ],
    ]


def test_an_old_checkpoint_of_peers_says_no_fraction(tmp_path: Path) -> None:
    path = tmp_path / "arm.npz"
    twice(1, path)
    saved = load(path)
    state = {name: value for name, value in saved.state.items() if name != "fraction"}
    save(path, replace(saved, state=state))
    server, _, _ = twice(2, path)
    assert server.asked[-1] == "round 2"
    save(path, replace(saved, state={k: v for k, v in saved.state.items() if k != "seed"}))
    with pytest.raises(InputError, match="of a run with seed None"):
        twice(2, path)
