"""Whole runs in a shared space: messages, resumption, what is served when, results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Message

from fairfed.config import Config
from fairfed.rounds import checkpoint
from fairfed.sites.workplace import Workplace
from fairfed.systems.shared_space.embeddings import captions
from fairfed.systems.shared_space.examples import training_examples
from fairfed.systems.shared_space.variants import COMPARED
from tests.fairfed.runs import killed, logged, outcome_of, place_of, run_of
from tests.fairfed.systems.shared_space.clients import everything, site_of, sites_of

Small = Callable[..., Config]
METRICS = {
    "query.shared": {
        "partition-id",
        "n-images",
        "n-captions",
        "n-captions-used",
        "n-test",
        "label-set",
    },
    "train.shared": {"partition-id", "loss", "n-real", "n-synthetic", "counts", "seconds"},
    "evaluate.shared": {"partition-id", "loss", "n-real", "counts"},
    "query.describe": {"partition-id"},
}
"""All that clients may say beside the adapter and the noised sums."""


class _Killed(BaseException):
    """What a power cut is to Python."""


def _cut_and_continued(config: Config, stops: tuple[int, ...]) -> Path:
    """A run that is killed at so many training messages, again and again, and then left alone."""
    for stop in stops:
        count = 0

        def cut(request: Message, client: int, stop: int = stop) -> None:
            nonlocal count
            count += request.metadata.message_type == "train.shared"
            if count >= stop:
                raise _Killed

        with pytest.raises(_Killed):
            run_of(config, drop=cut)
    return run_of(config)


def _same_end(one: Path, other: Path) -> None:
    assert logged(one) == logged(other)
    assert outcome_of(one) == outcome_of(other)
    for path in (one / "checkpoints").iterdir():
        ends = [checkpoint.load(path), checkpoint.load(other / "checkpoints" / path.name)]
        for key, array in ends[0].arrays.items():
            assert np.array_equal(array, ends[1].arrays[key])


def test_only_the_adapter_counts_and_noised_sums_travel(small_shared: Small) -> None:
    config = small_shared("rounds=2")
    replies: list[Message] = []
    kinds: dict[str, str] = {}

    def sent(request: Message, client: int) -> None:
        kinds[request.metadata.message_id] = request.metadata.message_type

    folder = run_of(config, drop=sent, on_reply=lambda done, total, reply: replies.append(reply))
    shapes = {"inward": (4, 128), "inward_bias": (4,), "outward": (128, 4), "outward_bias": (128,)}
    for reply in replies:
        kind = kinds[reply.metadata.reply_to_message_id]
        assert set(reply.content.metric_records["metrics"]) == METRICS[kind]
        for name, record in reply.content.array_records.items():
            assert name == "arrays"
            found = {key: array.numpy().shape for key, array in record.items()}
            if kind == "query.shared":
                assert set(found) == {"counts", "sums", "variances"}
                assert min(record["variances"].numpy(), default=1.0) > 0.5
            else:
                assert found == shapes
    release = json.loads((folder / "clients.json").read_text())["release"]
    assert (release["epsilon"], release["delta"]) == (4.0, 1e-5)
    written = captions(everything(config), np.arange(96))
    kept = "".join(path.read_text() for path in folder.glob("*.json*"))
    assert not any(text in kept for text in written)


def test_variants_differ_in_who_trains_on_what(small_shared: Small) -> None:
    config = small_shared("rounds=1")
    rows = {row["arm"]: row["clients"] for row in logged(run_of(config))}
    own = sites_of(config).partitions
    pictures, pairs, texts = len(own[0].rows), 2 * len(own[2].rows), len(own[3].rows)
    assert [c["n_real"] for c in rows["Images and captions"]][::3] == [pictures, texts]
    assert rows["Images and captions"][2]["n_real"] == pairs
    assert rows["Images and captions"][3]["n_synthetic"] == 0
    assert rows["Images of every class"][0]["n_real"] > pictures
    # Coats are tested where nobody has one, and the client with captions alone tests nothing.
    coat = place_of(config).labels.classes.index("coat")
    counts = np.array([c["test_counts"] for c in rows["Images and captions"]])
    assert counts[:3, :, coat].sum() == 6
    assert counts[3].sum() == 0


def test_a_client_that_stays_out_is_sent_nothing(small_shared: Small) -> None:
    config = small_shared("rounds=1", "shared.variants=['images', 'captions']")
    asked: list[tuple[str, int]] = []
    folder = run_of(config, drop=lambda m, c: asked.append((m.metadata.message_type, c)))
    counts = {kind: [c for k, c in asked if k == kind] for kind in METRICS}
    for kind in ("train.shared", "evaluate.shared"):
        assert sorted(counts[kind]) == [0, 0, 1, 1, 2, 2, 3]
    rows = {row["arm"]: row["clients"] for row in logged(folder)}
    outside = rows["Images only"][3]
    assert (outside["error"], outside["weight"], outside["test_counts"]) == (None, 0, None)
    assert outside["bytes_down"] == outside["bytes_up"] == 0
    mb = [variant["mb"] for variant in outcome_of(folder)["variants"]]
    assert mb[0] == pytest.approx(0.75 * mb[1])


def test_images_compete_in_the_own_label_set_and_captions_with_descriptions(
    small_shared: Small,
) -> None:
    config = small_shared()
    pictures, texts = (site_of(config, client) for client in (0, 3))
    sent = {"centre-images": [0.0] * 128, "held": [0, 3]}
    seen = training_examples(pictures, COMPARED["images"], True, sent)
    assert {tuple(np.flatnonzero(row)) for row in seen.competing.numpy()} == {
        tuple(sorted(pictures.own.classes))
    }
    assert len(seen.labels) == seen.n_real
    told = training_examples(texts, COMPARED["captions"], True, sent)
    assert told.competing.all()
    assert told.texts.all()
    assert set(told.labels[: told.n_real].tolist()) == set(texts.own.classes)
    described = told.labels[told.n_real :]
    assert set(described.tolist()) == set(range(4)) - set(texts.own.classes)
    assert len(training_examples(texts, COMPARED["images"], True, sent).labels) == 0
    both = training_examples(pictures, COMPARED["descriptions"], True, sent)
    assert set(both.labels[both.n_real :].tolist()) == set(range(4))
    assert len(both.sources.unique()) == 2 + 4


def test_untrained_variant_takes_one_round_and_keeps_the_model(small_shared: Small) -> None:
    folder = run_of(small_shared("shared.variants=['zero-shot']"))
    assert [row["round"] for row in logged(folder)] == [1]
    saved = checkpoint.load(folder / "checkpoints" / "clip-untrained.npz").arrays
    assert not saved["outward"].any()


def test_rounds_without_a_usable_reply_are_told(
    small_arrival: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairfed.errors import PublicInputError

    def nothing(place: Workplace, label: int) -> None:
        raise PublicInputError("nothing was accepted")

    monkeypatch.setattr("fairfed.systems.shared_space.examples.synthetic", nothing)
    config = small_arrival("rounds=4", "arrival.variants=['described', 'synthesised']")
    text = (run_of(config) / "results.md").read_text()
    assert "Described and synthesised: in 2 of 4 rounds (3, 4) no client gave a usable" in text
    assert "nothing was accepted" in text
    assert "Described: in" not in text


def test_a_round_that_nobody_evaluated_has_no_recall(small_shared: Small) -> None:
    def unheard(request: Message, client: int) -> str | None:
        config = request.content.config_records.get("config")
        evaluated = request.metadata.message_type == "evaluate.shared"
        return "lost" if evaluated and config and config["round"] == 2 else None

    folder = run_of(small_shared("rounds=2", "shared.variants=['images']"), drop=unheard)
    (variant,) = outcome_of(folder)["variants"]
    assert (variant["mean"], variant["missing"], variant["worst"]) == (None, None, None)
    assert set(variant["recall"].values()) == {None}
    assert "| Images only | – | – | – | – |" in (folder / "results.md").read_text()


@pytest.mark.usefixtures("seeded_noise")
def test_nothing_is_centred_where_no_image_sum_is_released(
    small_shared: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fairfed.cli.running import run_here

    own = ("rounds=1", "shared.variants=['descriptions', 'captions']")
    withheld = small_shared(*own, "conditioning.minimum=1000", f"out={tmp_path}/withheld")
    run_here(withheld)
    assert "Not centred: no client has released" in capsys.readouterr().out
    plain = run_of(small_shared(*own, "shared.centre=false", f"out={tmp_path}/plain"))
    assert logged(withheld) == logged(plain)
    assert "conditioning.minimum = 1000" in (withheld.run_directory / "results.md").read_text()
    centred = run_of(small_shared(*own, "conditioning.minimum=1", f"out={tmp_path}/centred"))
    assert logged(centred) != logged(plain)
    assert "Not centred" not in (centred / "results.md").read_text()


@pytest.mark.usefixtures("seeded_noise")
def test_workers_and_the_wire_change_nothing(small_shared: Small, tmp_path: Path) -> None:
    own = ("rounds=2", "shared.variants=['captions']")
    one = run_of(small_shared(f"out={tmp_path}/one", *own), workers=1)
    two = run_of(small_shared(f"out={tmp_path}/two", *own), workers=3, wire=True)
    _same_end(one, two)
    other = run_of(small_shared(f"out={tmp_path}/other", *own, "seed=1"))
    assert logged(one) != logged(other)


@pytest.mark.usefixtures("seeded_noise")
def test_interrupted_run_ends_with_the_same_bits(small_arrival: Small, tmp_path: Path) -> None:
    own = ("arrival.variants=['synthesised']",)
    whole = run_of(small_arrival(f"out={tmp_path}/whole", *own))
    # In rounds 1, 2 and 3, of three clients each.
    cut = _cut_and_continued(small_arrival(f"out={tmp_path}/cut", *own), (2, 5, 5))
    _same_end(cut, whole)


def test_a_killed_run_goes_on_with_the_sums_that_it_was_told(
    small_arrival: Small, tmp_path: Path
) -> None:
    config = small_arrival("arrival.variants=['synthesised']")
    killed(config, 2, tmp_path)
    told = (config.run_directory / "clients.json").read_bytes()
    before = logged(config)
    folder = run_of(config)
    assert (folder / "clients.json").read_bytes() == told
    assert logged(folder)[:2] == before
    assert [row["round"] for row in logged(folder)] == [1, 2, 3]
    assert outcome_of(folder)


def test_clients_are_asked_for_their_sums_once_in_a_run(small_shared: Small) -> None:
    config = small_shared("rounds=2", "shared.variants=['images']")
    asked: list[str] = []

    def cut(request: Message, client: int) -> None:
        asked.append(request.metadata.message_type)
        if asked.count("train.shared") == 5:  # in round 2
            raise _Killed

    with pytest.raises(_Killed):
        run_of(config, drop=cut)
    first = (config.run_directory / "clients.json").read_bytes()
    run_of(config, drop=lambda request, client: asked.append(request.metadata.message_type))
    assert asked.count("query.shared") == 4
    assert (config.run_directory / "clients.json").read_bytes() == first


def test_the_stated_guarantee_is_that_of_a_row_in_both_sums(small_shared: Small) -> None:
    from fairfed.systems.shared_space.embeddings import _noised

    plain = small_shared("conditioning.minimum=1")
    paired = small_shared(
        "conditioning.minimum=1", "shared.image_clients=0", "shared.both_clients=2"
    )
    for client, kind in enumerate(("both", "both", "text")):
        site = site_of(paired, client)
        assert site.own.kind == kind
        found = _noised(site)
        assert (found.guarantee.epsilon, found.guarantee.delta) == (4.0, 1e-5)
    both, images_alone = (_noised(site_of(config, 0)).variances for config in (paired, plain))
    assert both[0] > 1.5 * images_alone[0]


def test_terminal_shows_the_table_and_names_the_results_last(
    small_shared: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    from fairfed.cli.running import run_here

    config = small_shared("shared.variants=['captions']", "rounds=1", "shared.centre=false")
    run_here(config)
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1] == f"Results: {config.run_directory / 'results.md'}"
    assert any("Images and captions" in line for line in lines)
