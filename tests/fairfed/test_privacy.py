"""What a message holds: a test watches all those of a run with every arm, in both directions."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from evaluation import read_run
from evaluation.report.privacy import TOLD, privacy_statement, told
from fairfed.client import client_app
from fairfed.config import Config, FederationConfig, LabelSpace, parse_config
from fairfed.config.federation import agreed
from fairfed.config.systems import MESSAGES
from fairfed.engines.inprocess import InProcessGrid, run_in_process
from fairfed.engines.private import records_from_bytes, records_to_bytes
from fairfed.engines.run import ENGINES
from fairfed.errors import PublicInputError
from fairfed.server import run, server_app
from fairfed.sites.simulated import SimulatedSites
from fairfed.system import simulated_study, simulation_of
from generators.curation import REASONS
from semantic.encoder import BUNDLED_CLIP
from semantic.errors import InputError
from tests.fairfed import configurations
from tests.fairfed.data.tables.loans import loans
from tests.fairfed.engines.working import working

REJECTED = tuple(f"rejected-{reason}" for reason in REASONS)
ALLOWED = {
    "partition-id", "train-cells", "test-cells", "requested-cells",
    "accepted-cells", "generated", "reused", "seconds", "known-names", *REJECTED,
    "loss", "n-real", "n-synthetic", "counts", "received-loss",
}  # fmt: skip
ARMS = """arms=[
  {name="FedAvg"},
  {name="Loss", rule="afl"},
  {name="Both", rule="fairfed", augment=true},
  {name="Loop", augment=true, replan=1},
  {name="IID", iid=true, reference=true},
]""".replace("\n", " ")
TOKEN = "swordfish"
"""Part of every path of the watched runs."""


class Watching(ClientApp):
    """A ClientApp that keeps what it is asked."""

    def __init__(self, inner: ClientApp, asked: list[bytes]) -> None:
        super().__init__()
        self._inner, self._asked = inner, asked

    def __call__(self, message: Message, context: Context) -> Message:
        """The inner app's answer."""
        self._asked.append(records_to_bytes(message.content))
        return self._inner(message, context)


@dataclass
class Watched:
    """A finished run, the bytes of every request, and every reply in it."""

    config: Config
    asked: list[bytes] = field(default_factory=list)
    replies: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        study = simulated_study(self.config)
        sites = study.simulated("a run in a test")
        run_in_process(
            server_app(study),
            Watching(client_app(sites), self.asked),
            len(sites.names),
            on_reply=lambda done, total, reply: self.replies.append(reply),
        )

    @property
    def answered(self) -> bytes:
        """All replies."""
        return b"".join(records_to_bytes(reply.content) for reply in self.replies)


@pytest.fixture(scope="module")
def watched(
    image_folder: Path, tiny_pipeline: Path, tmp_path_factory: pytest.TempPathFactory
) -> Watched:
    """A run with every arm, all of whose paths are marked; CLIP does not know its images."""
    folder = tmp_path_factory.mktemp("watched") / TOKEN
    images, pipeline, clip = (folder / name for name in ("images", "pipeline", "clip"))
    for source, path in ((image_folder, images), (tiny_pipeline, pipeline), (BUNDLED_CLIP, clip)):
        shutil.copytree(source, path)
    table = folder / "attributes.csv"
    table.write_text("class,prompt,long\nbag,bag,0\ncoat,coat,1\ndress,dress,1\n")
    text = configurations.small(folder, images, pipeline)
    marked = f"semantic.encoder={clip}", f"semantic.attributes={table}"
    return Watched(parse_config(text, "small.toml", (ARMS, *marked)))


@pytest.fixture(scope="module")
def watched_table(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """A run over a table, all of whose paths are marked."""
    folder = tmp_path_factory.mktemp("watched") / TOKEN
    folder.mkdir()
    loans().to_csv(folder / "people.csv", index=False)
    return Watched(parse_config(configurations.table(folder, folder / "people.csv"), "people.toml"))


@pytest.mark.parametrize("kind", ["watched", "watched_table"])
def test_no_message_says_where_anything_is(kind: str, request: pytest.FixtureRequest) -> None:
    run: Watched = request.getfixturevalue(kind)
    places = [TOKEN.encode(), str(run.config.run_directory).encode(), b".png", b".csv", b"/tmp/"]
    assert TOKEN in run.config.to_toml()
    assert len(run.asked) == len(run.replies) > 20
    for message in (*run.asked, run.answered):
        assert not any(place in message for place in places)


@pytest.mark.parametrize("kind", ["watched", "watched_table"])
def test_a_request_tells_the_study_and_what_is_asked(
    kind: str, request: pytest.FixtureRequest
) -> None:
    run: Watched = request.getfixturevalue(kind)
    told = simulation_of(run.config).study
    for message in run.asked:
        sent = dict(records_from_bytes(message).config_records["config"])
        if "study" not in sent:  # who is there?
            assert sent == {"round": 0}
            continue
        study = FederationConfig.model_validate_json(str(sent["study"]))
        assert study.model_copy(update={"table": told.table}) == told
        assert not any(isinstance(value, str) for name, value in sent.items() if name not in TEXTS)


TEXTS = {"study", "arm"}


def test_replies_hold_weights_and_counts_and_nothing_else(watched: Watched) -> None:
    place = simulation_of(watched.config).place(simulation_of(watched.config).study)
    groups, classes = len(place.labels.groups), len(place.labels.classes)
    state = place.model().state_dict()
    lengths = {
        "counts": groups * classes**2,
        **dict.fromkeys(("train-cells", "test-cells", "requested-cells"), groups * classes),
        **dict.fromkeys(("accepted-cells", *REJECTED), groups * classes),
        "known-names": classes + len(place.labels.sensitive),
    }
    assert len(watched.replies) > 40
    seen: set[str] = set()
    for reply in watched.replies:
        assert set(reply.content) <= {"arrays", "metrics", "who"}
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


def test_a_site_says_its_name_and_what_its_models_do_not_know(watched: Watched) -> None:
    said = [dict(reply.content.config_records["who"]) for reply in watched.replies
            if "who" in reply.content]  # fmt: skip
    assert {str(who["name"]) for who in said} == {"a", "b", "c"}
    described = [who for who in said if "warnings" in who]
    assert described
    for who in described:
        assert set(who) == {"name", "warnings", "remarks", "seen", "hidden"}
        assert any("semantic.encoder does not" in str(text) for text in who["warnings"])


def _read(reply: Message) -> set[str]:
    """Names of what a reply tells: its records, and its metrics."""
    metrics = reply.content.metric_records["metrics"]
    records = {name for name, record in reply.content.array_records.items() if record}
    named = {"who"} & set(reply.content)
    return records | named | {
        "rejected" if name.startswith("rejected-") else name for name in metrics
    }  # fmt: skip


def test_the_reports_privacy_statement_says_what_the_messages_and_the_files_hold(
    watched: Watched,
) -> None:
    from PIL import Image

    seen = set().union(*map(_read, watched.replies))
    found = read_run(watched.config.run_directory)
    assert {TOLD[name] for name in seen} == {TOLD[name] for name in told(found)}
    said = " ".join(privacy_statement(found))
    for name in seen:
        assert TOLD[name].format(unit="images") in said
    assert f"This page shows real {found.gallery_split} images" in said
    table = simulation_of(watched.config).images.table
    own = table.images[table.test if found.gallery_split == "test" else ~table.test]
    known = {image.tobytes() for image in own}
    shown = [path for cell in found.gallery for path in cell.real]
    assert shown
    assert all(np.asarray(Image.open(path)).tobytes() in known for path in shown)


def test_no_reply_holds_the_bytes_of_an_image(watched: Watched) -> None:
    sent = watched.answered
    images: np.ndarray[Any, np.dtype[np.uint8]] = simulation_of(watched.config).images.table.images
    assert not any(image.tobytes()[:64] in sent for image in images)


SECRETS = ("HIV", "people", "row 2")


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


@pytest.mark.parametrize("on_ray", [False, True], ids=["in process", "on Ray"])
def test_an_error_reply_names_the_kind_of_the_error_and_nothing_of_the_data(
    damaged: Config, on_ray: bool, caplog: pytest.LogCaptureFixture
) -> None:
    study = agreed(damaged, LabelSpace(kind="table", classes=("no", "yes")), None, {})
    asked = {"study": study.to_json(), "arm": "fedavg", "round": 1, "weights": "", "variant": ""}
    app = client_app(SimulatedSites(damaged))
    handle = working(app)[0] if on_ray else None
    with InProcessGrid(app, 1, wire=True, handle=handle) as grid:
        requests = [
            Message(RecordDict({"config": ConfigRecord(asked)}), 1000, kind) for kind in MESSAGES
        ]
        reasons = [reply.error.reason or "" for reply in grid.send_and_receive(requests)]
    assert not any(secret in reason for secret in SECRETS for reason in reasons)
    said = "InputError at client 0: the log of this client says what is wrong"
    assert all("WithheldError" in r or "which only a simulation" in r for r in reasons)
    assert sum(said in reason for reason in reasons) >= 6
    assert "people.csv: row 2 has age = 'HIV+ 43'" in caplog.text  # which stays with the client
    assert caplog.text.count("client 0 failed on 'train': ") == 1


def test_a_client_that_exits_is_withheld_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "fairfed.systems.classifier.training.train", lambda request: sys.exit("row 2 is bad")
    )
    with InProcessGrid(client_app(SimulatedSites(Config())), 1) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "train")])
    assert "SystemExit at client 0" in str(reply.error.reason)
    assert "row 2" not in str(reply.error.reason)


def test_what_is_of_no_ones_data_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(request: object) -> None:
        raise PublicInputError("lower curation.margin")

    monkeypatch.setattr("fairfed.systems.classifier.training.train", refuse)
    with InProcessGrid(client_app(SimulatedSites(Config())), 1) as grid:
        (reply,) = grid.send_and_receive([Message(RecordDict(), 1000, "train")])
    assert "lower curation.margin" in str(reply.error.reason)


@pytest.mark.parametrize("engine", ENGINES)
def test_here_bad_data_is_named_before_any_client_is_asked(damaged: Config, engine: str) -> None:
    config = damaged.model_copy(update={"engine": engine})
    with pytest.raises(InputError, match=r"people\.csv: row 2 has age = 'HIV\+ 43'"):
        run(config)
    assert not config.run_directory.exists()
