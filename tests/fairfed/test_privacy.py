"""What leaves a client: a test watches every message of a run with every arm."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairfed.experiment import count_clients
from fairfed.site import federation
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.clientapp import ClientApp

from evaluation import read_run
from evaluation.report.privacy import TOLD, privacy_statement, told
from fairfed.client import SYSTEMS, app
from fairfed.config import Config, parse_config
from fairfed.engines import ENGINES
from fairfed.engines.inprocess import InProcessGrid, run_in_process
from fairfed.engines.ray import GuardedClientApp
from fairfed.errors import PublicInputError
from fairfed.models import federated_model
from fairfed.server import run, server_app
from semantic.errors import InputError
from tests.fairfed import configurations

ALLOWED = {
    "partition-id", "train-cells", "test-cells", "requested-cells",
    "accepted-cells", "generated", "reused", "seconds", "rejected-margin", "rejected-blank",
    "loss", "n-real", "n-synthetic", "counts", "received-loss",
}  # fmt: skip
ARMS = """arms=[
  {name="FedAvg"},
  {name="Loss", rule="afl"},
  {name="Both", rule="fairfed", augment=true},
  {name="Loop", augment=true, replan=1},
  {name="IID", iid=true, reference=true},
]""".replace("\n", " ")


def _watch(config: Config) -> list[Message]:
    seen: list[Message] = []
    run_in_process(
        server_app(config),
        app,
        count_clients(config),
        on_reply=lambda done, total, reply: seen.append(reply),
    )
    return seen


@pytest.fixture(scope="module")
def watched(
    image_folder: Path, tiny_pipeline: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Config, list[Message]]:
    """A finished run with every arm, and every reply in it."""
    text = configurations.small(tmp_path_factory.mktemp("watched"), image_folder, tiny_pipeline)
    config = parse_config(text, "small.toml", (ARMS,))
    return config, _watch(config)


def test_replies_hold_weights_and_counts_and_nothing_else(
    watched: tuple[Config, list[Message]],
) -> None:
    config, replies = watched
    table = federation(config.to_toml(), False).table
    groups, classes = len(table.group_names), len(table.classes)
    state = federated_model(config, classes).state_dict()
    lengths = {
        "counts": groups * classes**2,
        **dict.fromkeys(("train-cells", "test-cells", "requested-cells"), groups * classes),
        **dict.fromkeys(("accepted-cells", "rejected-margin", "rejected-blank"), groups * classes),
    }
    assert len(replies) > 40
    seen: set[str] = set()
    for reply in replies:
        assert set(reply.content) <= {"arrays", "metrics"}
        metrics = dict(reply.content.metric_records["metrics"])
        assert set(metrics) <= ALLOWED
        seen |= {name for name in metrics if "loss" in metrics}
        for name, value in metrics.items():
            if isinstance(value, list):
                assert len(value) == lengths[name], name
                assert all(isinstance(number, int) for number in value)
            elif "loss" not in name and name != "seconds":
                assert isinstance(value, int), name
        for record in reply.content.array_records.values():
            shapes = {name: tuple(array.numpy().shape) for name, array in record.items()}
            assert shapes == {name: tuple(value.shape) for name, value in state.items()}
    assert {"received-loss", "generated", "reused"} <= seen  # by those that are asked


def _read(reply: Message) -> set[str]:
    """Names of what a reply tells: its records, and its metrics."""
    metrics = reply.content.metric_records["metrics"]
    records = {name for name, record in reply.content.array_records.items() if record}
    return records | {"rejected" if name.startswith("rejected-") else name for name in metrics}


def test_the_reports_privacy_statement_says_what_the_messages_and_the_files_hold(
    watched: tuple[Config, list[Message]],
) -> None:
    from PIL import Image

    config, replies = watched
    seen = set().union(*map(_read, replies))
    found = read_run(config.run_directory)
    assert {TOLD[name] for name in seen} == {TOLD[name] for name in told(found)}
    said = " ".join(privacy_statement(found))
    for name in seen:
        assert TOLD[name].format(unit="images") in said
    assert f"This page shows real {found.gallery_split} images" in said
    table = federation(config.to_toml(), False).table
    own = table.images[table.test if found.gallery_split == "test" else ~table.test]
    known = {image.tobytes() for image in own}
    shown = [path for cell in found.gallery for path in cell.real]
    assert shown
    assert all(np.asarray(Image.open(path)).tobytes() in known for path in shown)


def test_no_reply_holds_the_bytes_of_an_image_or_its_file_name(
    watched: tuple[Config, list[Message]],
) -> None:
    from fairfed.engines.private import records_to_bytes

    config, replies = watched
    sent = b"".join(records_to_bytes(reply.content) for reply in replies)
    images: np.ndarray[Any, np.dtype[np.uint8]] = federation(config.to_toml(), False).table.images
    assert not any(image.tobytes()[:64] in sent for image in images)
    assert b".png" not in sent


SECRETS = ("HIV", "people", "row 2")
HANDLERS = (
    "query.describe", "query.summarise", "query.release", "query.augment", "query.audit", "train",
    "evaluate", *(f"{kind}.{action}" for kind, action in SYSTEMS),
)  # fmt: skip


@pytest.fixture
def damaged(tmp_path: Path) -> Config:
    """Configuration of a run over a table that has a text among its ages."""
    table = tmp_path / "people.csv"
    table.write_text("age,loan\n30,yes\nHIV+ 43,no\n50,yes\n60,no\n")
    text = f"""
model = "mlp"
out = "{tmp_path}/run"
[data]
source = "{table}"
label = "loan"
sensitive = []
[data.table]
positive = "yes"
numeric = ["age"]
[[arms]]
name = "FedAvg"
"""
    return parse_config(text, "people.toml")


def _as_it_is(app: ClientApp) -> ClientApp:
    return app


@pytest.mark.parametrize("engine", [_as_it_is, lambda app: GuardedClientApp(app, {})])
def test_an_error_reply_names_the_kind_of_the_error_and_nothing_of_the_data(
    damaged: Config, engine: Callable[[ClientApp], ClientApp], caplog: pytest.LogCaptureFixture
) -> None:
    asked = {"toml": damaged.to_toml(), "arm": "fedavg", "round": 1, "weights": "", "variant": ""}
    with InProcessGrid(engine(app), 1, wire=True) as grid:
        requests = [
            Message(RecordDict({"config": ConfigRecord(asked)}), 1000, kind) for kind in HANDLERS
        ]
        reasons = [reply.error.reason or "" for reply in grid.send_and_receive(requests)]
    assert not any(secret in reason for secret in SECRETS for reason in reasons)
    said = "InputError at client 0: the log of this client says what is wrong"
    assert all("WithheldError" in reason for reason in reasons)
    assert sum(said in reason for reason in reasons) >= 6
    assert "people.csv: row 2 has age = 'HIV+ 43'" in caplog.text  # which stays with the client
    assert caplog.text.count("client 0 failed on 'train'\n") == 1


def test_a_client_that_exits_is_withheld_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fairfed.local_training.train", lambda request: sys.exit("row 2 is bad"))
    with InProcessGrid(app, 1) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "train")])
    assert "SystemExit at client 0" in str(reply.error.reason)
    assert "row 2" not in str(reply.error.reason)


def test_what_is_of_no_ones_data_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: object) -> None:
        raise PublicInputError("lower augment.margin")

    monkeypatch.setattr("fairfed.local_training.train", refuse)
    with InProcessGrid(app, 1) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "train")])
    assert "lower augment.margin" in str(reply.error.reason)


@pytest.mark.parametrize("engine", ENGINES)
def test_here_bad_data_is_named_before_any_client_is_asked(damaged: Config, engine: str) -> None:
    config = damaged.model_copy(update={"engine": engine})
    with pytest.raises(InputError, match=r"people\.csv: row 2 has age = 'HIV\+ 43'"):
        run(config)
    assert not config.run_directory.exists()
