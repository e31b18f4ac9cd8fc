"""Whole runs of the baselines on a small federation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from evaluation.run import read_run
from evaluation.summary import summarise
from fairfed.config import Arm, Config
from fairfed.engines.private import records_to_bytes
from fairfed.errors import RunError
from fairfed.rounds import checkpoint
from fairfed.rounds.run_directory import RunDirectory
from fairfed.server import LogWatcher, checked
from fairfed.sites.conditioning import describer
from fairfed.system import simulated_study, simulation_of
from fairfed.systems.classifier.prototypes import as_told
from semantic.errors import InputError
from semantic.prototypes import PrototypeSums
from semantic.release import NoisedPrototypes
from semantic.space import Cell
from tests.fairfed.runs import logged, place_of, play

Small = Callable[..., Config]


class _Stop(LogWatcher):
    """Ctrl-C when the second round was logged, and the first one is in the checkpoint."""

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        if row["round"] == 2:
            raise KeyboardInterrupt


def _run(config: Config, **options: Any) -> list[dict[str, Any]]:
    play(config, **options)
    return logged(config)


def _arms(*arms: str) -> str:
    return f"arms=[{', '.join(arms)}]"


LOCAL = '{name="Local", system="local"}'
CENTRAL = '{name="Central", system="centralised", reference=true}'
SCAFFOLD = '{name="Scaffold", control_variates=true}'
RELEASED = (
    "conditioning.epsilon=1e9", "conditioning.minimum=1", "data.image_size=32",
    "generator.model=bundled",
)  # fmt: skip
ONE_SHOT = '{name="One", system="one-shot", server_rounds=1}'


@pytest.fixture
def seeded_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise of releases from a seed: a real one comes from the operating system."""
    plain = PrototypeSums.release

    def release(self: PrototypeSums, *how: Any) -> NoisedPrototypes:
        return plain(self, *how, np.random.default_rng(self.counts))

    monkeypatch.setattr(PrototypeSums, "release", release)


@pytest.mark.usefixtures("seeded_noise")
@pytest.mark.parametrize(
    ("arm", "settings"),
    [
        (LOCAL, ()),
        (SCAFFOLD, ()),
        ('{name="S", system="synthetic"}', ()),
        (ONE_SHOT, RELEASED),
    ],
)
def test_interrupted_run_continues_to_the_same_bits(
    small: Small, tmp_path: Any, arm: str, settings: tuple[str, ...]
) -> None:

    whole = _run(small(_arms(arm), *settings, f"out={tmp_path}/whole"), wire=True)
    config = small(_arms(arm), *settings, f"out={tmp_path}/cut")
    with pytest.raises(KeyboardInterrupt):
        play(config, _Stop())
    name = f"checkpoints/{config.arms[0].slug}.npz"
    assert checkpoint.load(tmp_path / "cut" / name).round == 1
    assert _run(config) == whole
    ends = [checkpoint.load(tmp_path / d / name) for d in ("whole", "cut")]
    for part in ("arrays", "strategy"):
        one, other = (getattr(end, part) for end in ends)
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[n], other[n]) for n in one)
    assert ends[0].clients == ends[1].clients


def test_local_clients_send_nothing_and_differ(small: Small) -> None:
    sent: list[Message] = []
    config = small(_arms('{name="FedAvg"}', LOCAL))
    rows = _run(config, on_reply=lambda done, total, reply: sent.append(reply))
    local = [row for row in rows if row["arm"] == "Local"]
    assert all(c["bytes_up"] == c["bytes_down"] == 0 for row in local for c in row["clients"])
    assert all(c["bytes_up"] > 0 for c in rows[0]["clients"])
    trained = [m for m in sent if m.content.array_records]
    assert len([m for m in trained if not m.content.array_records["arrays"]]) == 6
    saved = checkpoint.load(config.run_directory / "checkpoints" / "local.npz")
    assert not saved.arrays
    assert len(set(saved.clients.values())) == 3


def test_recall_of_missing_classes_is_not_claimed_of_clients_own_models(small: Small) -> None:
    config = small(_arms('{name="FedAvg"}', LOCAL))
    _run(config)
    fedavg, local = summarise(read_run(config.run_directory), replicates=10)
    assert np.isnan(local.missing_recall.value)
    assert not np.isnan(fedavg.missing_recall.value)
    assert local.client_fairness.clients == 3


def test_centralised_trains_on_all_rows_in_one_place(small: Small) -> None:
    config = small(_arms(CENTRAL))
    rows = _run(config)
    clients = rows[-1]["clients"]
    assert [c["n_real"] for c in clients] == [72, 0, 0]
    assert [c["weight"] for c in clients] == [1.0, 0.0, 0.0]
    assert all(c["error"] is None for c in clients)
    data = simulation_of(config).data()
    tested = [np.sum(c["test_counts"]) for c in clients]
    assert tested == [len(own) for own in data.test]


def test_scaffold_sends_twice_as_much_to_and_from_training(small: Small) -> None:
    rows = _run(small(_arms('{name="FedAvg"}', SCAFFOLD), "model=cnn-gn"))
    plain, twice = (
        next(row for row in rows if row["arm"] == name)["clients"][0]
        for name in ("FedAvg", "Scaffold")
    )
    # Down come the model to train and the new one to evaluate.
    assert twice["bytes_up"] == pytest.approx(2 * plain["bytes_up"], rel=0.02)
    assert twice["bytes_down"] == pytest.approx(1.5 * plain["bytes_down"], rel=0.02)


def test_scaffold_begins_as_fedavg_and_then_departs(small: Small) -> None:
    rows = _run(small(_arms('{name="FedAvg"}', SCAFFOLD), "model=cnn-gn"))
    first = [[c["test_loss"] for c in row["clients"]] for row in rows if row["round"] == 1]
    second = [[c["test_loss"] for c in row["clients"]] for row in rows if row["round"] == 2]
    assert first[0] == first[1]  # all variates are zero
    assert second[0] != second[1]


def test_zero_shot_is_clip_in_every_round_and_sends_nothing(small: Small) -> None:
    config = small(_arms('{name="Z", system="zero-shot"}'), "data.image_size=32")
    first, second = _run(config)
    assert {**first, "round": 2} == second
    assert all(c["bytes_up"] == 0 for c in first["clients"])


def test_zero_shot_knows_the_bundled_classes() -> None:
    import torch

    from fairfed.config import parse_config
    from fairfed.models import confusion_counts

    config = parse_config("", "bundled")
    data, place = simulation_of(config).images, place_of(config)
    rows = np.flatnonzero(data.table.test)[::8]
    counts, _ = confusion_counts(
        place.zero_shot_head(),
        place.inputs(data.table.images[rows]),
        torch.from_numpy(data.table.labels[rows]),
        torch.zeros(len(rows), dtype=torch.int64),
        n_groups=1,
        n_classes=10,
    )
    assert np.trace(counts[0]) / counts.sum() > 0.8


def test_synthetic_trains_at_the_server_alone(small: Small) -> None:
    config = small(_arms('{name="S", system="synthetic"}'))
    rows = _run(config)
    assert all(c["n_real"] == c["n_synthetic"] == c["bytes_up"] == 0 for c in rows[0]["clients"])
    assert rows[0]["clients"][0]["test_loss"] != rows[1]["clients"][0]["test_loss"]
    made = json.loads((config.run_directory / "synthetic" / "server-s.json").read_text())
    assert np.array(made["accepted"]).sum(1).tolist() == [8, 8, 8]


def test_a_server_training_that_diverges_ends_the_run_as_a_failure(small: Small) -> None:
    config = small(_arms('{name="S", system="synthetic"}'), "train.lr=1e30")
    with pytest.raises(RunError, match="arm 's'"):
        play(config)


def test_a_generator_without_prototypes_is_refused_before_any_is_released(small: Small) -> None:
    with pytest.raises(InputError, match="reads no prototypes"):
        checked(small(_arms(ONE_SHOT), *RELEASED[:-1]))
    checked(small(_arms(ONE_SHOT), *RELEASED))


def test_unseen_classes_without_a_prototype_are_composed(small: Small) -> None:
    named = (
        "data.source=bundled", 'data.sensitive=["tint"]', "partition.name=iid",
        'conditioning.unseen=["Dress"]', "semantic.attributes=bundled",
    )  # fmt: skip
    config = small(_arms(ONE_SHOT), *RELEASED, *named)
    space, vectors = place_of(config).scorer.space, {"Bag": (0.1,) * 128}
    released = describer(space, config.conditioning, "prototype", vectors)
    prompts = {name: released.describe(Cell(name, "red"), 1) for name in ("Bag", "Dress", "Coat")}
    assert prompts["Bag"].prototype
    assert "dress" not in prompts["Dress"].prompt.lower()
    assert "coat" in prompts["Coat"].prompt.lower()


def test_clients_condition_on_prototypes_that_all_have_released(small: Small) -> None:
    arm = '{name="By prototype", augment=true, conditioning="prototype", domain_matching=false}'
    sent: list[Message] = []
    config = small(f"arms=[{arm}]", "rounds=1", "synthesis.per_class=2", *RELEASED)
    _run(config, on_reply=lambda done, total, reply: sent.append(reply))
    assert len([m for m in sent if "release" in m.content]) == 3
    kept = json.loads((config.run_directory / "synthetic" / "prototypes-main.json").read_text())
    assert kept["epsilon"] == 1e9
    study = as_told(simulated_study(config), RunDirectory(config))
    told = study.told.prototypes
    assert told is not None
    assert set(told.classes) == {"bag", "dress", "coat"}
    # A client that lacks a class asks for it by what the others have released.
    lacking = study.simulated("").cut(0, study.told).synthesiser(config.arms[0])
    vectors = dict(zip(told.classes, told.vectors, strict=True))
    label = study.place.labels.classes.index("coat")
    assert lacking.request(label, 0, 0).prototype == vectors["coat"]
    assert study.told.fingerprint == simulated_study(config).told.fingerprint


def test_one_shot_asks_for_noised_prototypes_once_and_may_go_on_as_fedavg(small: Small) -> None:
    sent: list[Message] = []
    config = small(_arms(ONE_SHOT), *RELEASED)
    rows = _run(config, on_reply=lambda done, total, reply: sent.append(reply))
    releases = [m for m in sent if "release" in m.content]
    assert len(releases) == 3
    for message in releases:
        arrays = message.content.array_records["arrays"]
        assert {n: a.numpy().ndim for n, a in arrays.items()} == {
            "counts": 1, "sums": 2, "variances": 1,
        }  # fmt: skip
        assert (arrays["variances"].numpy() > 0).all()
    assert [c["n_real"] for c in rows[0]["clients"]] == [0, 0, 0]
    assert [c["n_real"] for c in rows[1]["clients"]] == [24, 24, 24]
    folder = config.run_directory / "synthetic"
    made = json.loads((folder / "server-one.json").read_text())
    assert made["conditioned"] == ["bag", "coat", "dress"]
    kept = json.loads((folder / "prototypes-main.json").read_text())
    assert kept["epsilon"] == 1e9
    assert kept["bytes"] > 3 * 128 * 8


def test_arms_share_one_release_and_other_divisions_have_their_own(small: Small) -> None:
    released: list[bytes] = []

    def watch(done: int, total: int, reply: Message) -> None:
        if "release" in reply.content:
            released.append(records_to_bytes(reply.content))

    arms = (ONE_SHOT, '{name="Two", system="one-shot"}', '{name="I", system="one-shot", iid=true}')
    config = small(_arms(*arms), *RELEASED)
    _run(config, on_reply=watch)
    assert len(released) == len(set(released)) == 2 * 3
    folder = config.run_directory / "synthetic"
    kept = {path.name: json.loads(path.read_text()) for path in folder.glob("prototypes-*")}
    assert sorted(kept) == ["prototypes-iid.json", "prototypes-main.json"]
    assert {content["epsilon"] for content in kept.values()} == {1e9}
    made = [json.loads((folder / f"server-{arm}.json").read_text()) for arm in ("one", "two")]
    assert made[0]["conditioned"] == made[1]["conditioned"] == ["bag", "coat", "dress"]


def test_no_system_sends_more_than_weights_variates_prototypes_and_counts(small: Small) -> None:
    sent: list[Message] = []
    config = small(
        _arms(LOCAL, CENTRAL, SCAFFOLD, ONE_SHOT, '{name="Z", system="zero-shot"}'), *RELEASED
    )
    _run(config, on_reply=lambda done, total, reply: sent.append(reply))
    data, state = simulation_of(config).images, place_of(config).model().state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    kinds = set()
    for message in sent:
        records = message.content.array_records
        kinds.add(frozenset(message.content))
        if "release" in message.content:
            assert all(a.numpy().shape[0] <= 3 for a in records["arrays"].values())
            continue
        for name, record in records.items():
            found = {n: tuple(a.numpy().shape) for n, a in record.items()}
            assert name in ("arrays", "control")
            assert found.items() <= shapes.items()
    assert kinds == {
        frozenset({"metrics"}), frozenset({"metrics", "who"}), frozenset({"arrays", "metrics"}),
        frozenset({"arrays", "control", "metrics"}), frozenset({"arrays", "metrics", "release"}),
    }  # fmt: skip
    content = b"".join(records_to_bytes(message.content) for message in sent)
    assert not any(image.tobytes()[:64] in content for image in data.table.images)
    assert b".png" not in content
