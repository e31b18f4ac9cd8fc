"""Whole runs over a small data set in xlsa17's format: messages, resumption, results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message

from fairfed.client import app as flower_client
from fairfed.config import Config
from fairfed.engines.run import run_apps
from fairfed.errors import PublicInputError, RunError
from fairfed.rounds import checkpoint
from fairfed.server import app as flower_server
from fairfed.server import checked
from fairfed.sites.simulated import simulated
from fairfed.system import simulation_of
from fairfed.systems.zsl.client import own_rows
from fairfed.systems.zsl.sites import ZslSites
from semantic.errors import InputError
from tests.fairfed.asking import request_to
from tests.fairfed.runs import killed, logged, outcome_of, run_of

Small = Callable[..., Config]


def _simulation(config: Config) -> ZslSites:
    return simulated(simulation_of(config), ZslSites, "a test")


def test_only_the_generator_travels(small_zsl: Small) -> None:
    config = small_zsl()
    sent: list[Message] = []
    replies: list[Message] = []
    run_of(
        config,
        drop=lambda request, client: sent.append(request),
        on_reply=lambda done, total, reply: replies.append(reply),
    )
    table = _simulation(config).features
    inputs = {"ska": 8 + 8 + table.texts.shape[1], "attributes": 8 + 8}
    shapes = [
        {"layers.0.weight": (16, n), "layers.0.bias": (16,), "layers.2.weight": (12, 16),
         "layers.2.bias": (12,)}
        for n in inputs.values()
    ]  # fmt: skip
    travelled = 0
    for message in (*sent, *replies):
        assert set(message.content) <= {"arrays", "config", "metrics", "who"}
        for record in message.content.array_records.values():
            assert {name: array.numpy().shape for name, array in record.items()} in shapes
            travelled += 1
    assert travelled == 2 * 3 * 3 * 2
    allowed = {"partition-id", "n-real", "loss-discriminator", "loss-generator", "seconds"}
    told = [dict(reply.content.metric_records["metrics"]) for reply in replies]
    assert set().union(*told) == allowed
    assert all(not isinstance(value, list) for metrics in told for value in metrics.values())
    names = [dict(reply.content["who"]) for reply in replies if "who" in reply.content]
    assert sorted(own["name"] for own in names) == ["0", "1", "2"]
    assert set().union(*names) == {"name"}
    # The discriminator (features and attributes to 16 units) exists, and stays in the state.
    state = checkpoint.load(config.run_directory / "checkpoints" / "fedzsl-ska.npz").clients[0]
    assert b"zsl-critic-fedzsl-ska" in state


def test_log_and_results_say_who_held_what_and_how_it_ended(small_zsl: Small) -> None:
    folder = run_of(small_zsl())
    rows, outcome = logged(folder), outcome_of(folder)
    assert [(row["arm"], row["round"]) for row in rows] == [
        (name, number) for name in ("FedZSL + SKA", "Attributes only") for number in (1, 2, 3)
    ]
    assert all(set(row["validation"]) == {"zsl", "U", "S", "H"} for row in rows)
    assert outcome["classes"]["unseen"] == ["seal", "zebra"]
    assert outcome["classes"]["validation"] == ["rat"]
    assert sorted(map(len, outcome["classes"]["clients"])) == [1, 1, 1]
    assert outcome["rows"]["test"] == [40, 15]
    for variant in outcome["variants"]:
        own = [row["validation"] for row in rows if row["arm"] == variant["name"]]
        best = max(scores["H"] for scores in own)
        assert variant["validation"]["H"] == best
        assert variant["round"] == 1 + [scores["H"] for scores in own].index(best)
        assert set(variant["test"]) == {"zsl", "U", "S", "H"}
    text = (folder / "results.md").read_text()
    assert "| FedZSL + SKA |" in text
    assert "Unseen: seal, zebra" in text


def test_same_seed_gives_the_same_run_whatever_the_workers_and_the_wire(
    small_zsl: Small, tmp_path: Path
) -> None:
    one = run_of(small_zsl(f"out={tmp_path}/one"), workers=1)
    two = run_of(small_zsl(f"out={tmp_path}/two"), workers=3, wire=True)
    assert logged(one) == logged(two)
    assert outcome_of(one) == outcome_of(two)
    other = run_of(small_zsl(f"out={tmp_path}/other", "seed=1"))
    assert logged(one) != logged(other)


def test_flwr_runs_it_as_fairfed_does(small_zsl: Small, tmp_path: Path) -> None:
    own = ('zsl.variants=["attributes"]', "rounds=1")
    whole, flower = (small_zsl(f"out={tmp_path}/{name}", *own) for name in ("whole", "flower"))
    path = tmp_path / "zsl.toml"
    path.write_text(whole.to_toml())
    told = {"config": str(path), "overrides": f"out={tmp_path}/flower"}
    run_apps(flower_server, flower_client, 3, run_config=told, wire=True)
    assert outcome_of(flower.run_directory) == outcome_of(run_of(whole))


class _Killed(BaseException):
    """What a power cut is to Python."""


def test_an_interrupted_run_ends_with_the_same_bits(small_zsl: Small, tmp_path: Path) -> None:
    whole = run_of(small_zsl(f"out={tmp_path}/whole"))
    config = small_zsl(f"out={tmp_path}/cut")
    for stop in (1, 5, 5, 7):  # in rounds 1, 2 and 3, and in round 2 of the next variant
        count = 0

        def cut(request: Message, client: int, stop: int = stop) -> None:
            nonlocal count
            count += request.metadata.message_type == "train.zsl"
            if count >= stop:
                raise _Killed

        with pytest.raises(_Killed):
            run_of(config, drop=cut)
    folder = run_of(config)
    assert logged(folder) == logged(whole)
    assert outcome_of(folder) == outcome_of(whole)
    for name in ("fedzsl-ska.npz", "attributes-only.npz"):
        ends = [checkpoint.load(path / "checkpoints" / name) for path in (folder, whole)]
        for key, array in ends[0].arrays.items():
            assert np.array_equal(array, ends[1].arrays[key])
        assert ends[0].clients == ends[1].clients


def test_a_killed_run_ends_with_the_same_bits(small_zsl: Small, tmp_path: Path) -> None:
    whole, cut = (small_zsl(f"out={tmp_path}/{name}") for name in ("whole", "cut"))
    killed(cut, 2, tmp_path)
    assert outcome_of(run_of(cut)) == outcome_of(run_of(whole))
    assert logged(cut) == logged(whole)


def test_a_failing_client_is_an_entry_and_all_failing_end_the_run(
    small_zsl: Small, tmp_path: Path
) -> None:
    def one(request: Message, client: int) -> str | None:
        return "out of order" if client == 1 and "train" in request.metadata.message_type else None

    def every(request: Message, client: int) -> str | None:
        return "out of order" if "train" in request.metadata.message_type else None

    rows = logged(run_of(small_zsl(f"out={tmp_path}/one", 'zsl.variants=["attributes"]'), drop=one))
    assert [[client["error"] for client in row["clients"]] for row in rows] == [
        [None, "out of order", None]
    ] * 3
    with pytest.raises(RunError, match=r"3 rounds in a row .*out of order"):
        run_of(small_zsl(f"out={tmp_path}/all", "rounds=5"), drop=every)


def test_the_mean_counts_every_client_the_same(small_zsl: Small) -> None:
    config = small_zsl("rounds=1", 'zsl.variants=["attributes"]')
    sent: list[np.ndarray] = []

    def keep(done: int, total: int, reply: Message) -> None:
        if "arrays" in reply.content:
            sent.append(reply.content.array_records["arrays"]["layers.2.weight"].numpy())

    folder = run_of(config, on_reply=keep)
    saved = checkpoint.load(folder / "checkpoints" / "attributes-only.npz").arrays
    assert saved["layers.2.weight"] == pytest.approx(np.mean(sent, axis=0), abs=1e-7)


def test_without_validation_all_seen_classes_train_and_the_last_round_counts(
    small_zsl: Small,
) -> None:
    config = small_zsl("zsl.n_validation=0", 'zsl.variants=["attributes"]')
    folder = run_of(config)
    (variant,) = outcome_of(folder)["variants"]
    assert (variant["round"], variant["validation"]) == (3, None)
    assert len(_simulation(config).split.classes.trained) == 4


def test_features_are_scaled_by_what_everybody_knows(small_zsl: Small) -> None:
    assert _simulation(small_zsl()).scale == 1.0
    half = small_zsl("zsl.feature_scale=0.5", 'zsl.variants=["attributes"]', "rounds=1")
    _, rows = own_rows(request_to(half, 1, {}))
    everybody = _simulation(half)
    own = everybody.features.features[everybody.split.train[1]]
    assert np.array_equal(rows.features.numpy(), own / 2)
    assert logged(run_of(half))


def test_clients_without_classes_are_told_so(small_zsl: Small) -> None:
    with pytest.raises(PublicInputError, match="client 3 holds nothing: .* among 3 clients"):
        own_rows(request_to(small_zsl(), 3, {}))
    with pytest.raises(PublicInputError, match=r"\[zsl\] needs the data of all sites"):
        own_rows(request_to(small_zsl(), 1, {}, simulated=False))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("arms=[{name='A'}]", "has no arms"),
        ("partition.clients=4", "only 3 classes are trained on"),
        ("zsl.features=/nowhere", "att_splits.mat"),
        ("zsl.validation=['unicorn']", "there is no class 'unicorn'"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    small_zsl: Small, setting: str, message: str
) -> None:
    config = small_zsl(setting)
    with pytest.raises(InputError, match=message):
        checked(config)
    assert not config.run_directory.exists()


def test_images_cannot_be_compared_with_a_cnns_features(small_zsl: Small) -> None:
    with pytest.raises(InputError, match="partition.name and partition.options have no effect"):
        checked(small_zsl("partition.name=iid"))
    with pytest.raises(InputError, match="'images' needs features that are CLIP embeddings"):
        small_zsl("zsl.variants=['images']")


def test_terminal_shows_the_table_and_names_the_results_last(
    small_zsl: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    from fairfed.cli.running import run_here

    config = small_zsl('zsl.variants=["attributes"]', "rounds=1")
    run_here(config)
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1] == f"Results: {config.run_directory / 'results.md'}"
    assert any("Attributes only" in line and "1" in line for line in lines)
