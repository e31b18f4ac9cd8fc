"""Whole runs in a shared space: messages, resumption, what is served when, results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from fairfed import checkpoint
from fairfed.config import Config, parse_config
from fairfed.experiment import check
from fairfed.shared_space.data import captions, holdings, images
from fairfed.shared_space.examples import training_examples
from fairfed.shared_space.variants import COMPARED
from semantic.errors import InputError
from tests.fairfed.runs import killed, logged, play

Small = Callable[..., Config]
METRICS = {
    "query.shared": {"partition-id", "n-images", "n-captions", "n-test", "label-set"},
    "train.shared": {"partition-id", "loss", "n-real", "n-synthetic", "counts", "seconds"},
    "evaluate.shared": {"partition-id", "loss", "n-real", "counts"},
    "query.describe": {"partition-id"},
}
"""All that clients may say beside the adapter and the noised sums."""


def _run(config: Config, **options: Any) -> Path:
    play(config, **options)
    return config.run_directory


def _outcome(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "results.json").read_text())
    for variant in content["variants"]:
        del variant["seconds"]
    return content


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
            _run(config, drop=cut)
    return _run(config)


def _same_end(one: Path, other: Path) -> None:
    assert logged(one) == logged(other)
    assert _outcome(one) == _outcome(other)
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

    folder = _run(config, drop=sent, on_reply=lambda done, total, reply: replies.append(reply))
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
    written = captions(config.to_toml(), np.arange(96))
    everything = "".join(path.read_text() for path in folder.glob("*.json*"))
    assert not any(text in everything for text in written)


def test_variants_differ_in_who_trains_on_what(small_shared: Small) -> None:
    config = small_shared("rounds=1")
    rows = {row["arm"]: row["clients"] for row in logged(_run(config))}
    own = holdings(config.to_toml())
    pictures, pairs, texts = len(own[0].rows), 2 * len(own[2].rows), len(own[3].rows)
    assert [c["n_real"] for c in rows["Images and captions"]][::3] == [pictures, texts]
    assert rows["Images and captions"][2]["n_real"] == pairs
    assert rows["Images and captions"][3]["n_synthetic"] == 0
    assert rows["Images of every class"][0]["n_real"] > pictures
    # Coats are tested where nobody has one, and the client with captions alone tests nothing.
    coat = images(config.to_toml()).classes.index("coat")
    counts = np.array([c["test_counts"] for c in rows["Images and captions"]])
    assert counts[:3, :, coat].sum() == 6
    assert counts[3].sum() == 0


def test_a_client_that_stays_out_is_sent_nothing(small_shared: Small) -> None:
    config = small_shared("rounds=1", "shared.variants=['images', 'captions']")
    asked: list[tuple[str, int]] = []
    folder = _run(config, drop=lambda m, c: asked.append((m.metadata.message_type, c)))
    counts = {kind: [c for k, c in asked if k == kind] for kind in METRICS}
    for kind in ("train.shared", "evaluate.shared"):
        assert sorted(counts[kind]) == [0, 0, 1, 1, 2, 2, 3]
    rows = {row["arm"]: row["clients"] for row in logged(folder)}
    outside = rows["Images only"][3]
    assert (outside["error"], outside["weight"], outside["test_counts"]) == (None, 0, None)
    assert outside["bytes_down"] == outside["bytes_up"] == 0
    mb = [variant["mb"] for variant in _outcome(folder)["variants"]]
    assert mb[0] == pytest.approx(0.75 * mb[1])


def test_images_compete_in_the_own_label_set_and_captions_with_descriptions(
    small_shared: Small,
) -> None:
    toml = small_shared().to_toml()
    own, sent = holdings(toml), {"centre-images": [0.0] * 128}
    seen = training_examples(toml, COMPARED["images"], own[0], True, sent)
    assert {tuple(np.flatnonzero(row)) for row in seen.competing.numpy()} == {
        tuple(sorted(own[0].classes))
    }
    assert len(seen.labels) == seen.n_real
    told = training_examples(toml, COMPARED["captions"], own[3], True, sent)
    assert told.competing.all()
    assert told.texts.all()
    assert set(told.labels[: told.n_real].tolist()) == set(own[3].classes)
    described = told.labels[told.n_real :]
    assert set(described.tolist()) == set(range(4)) - set(own[3].classes)
    assert len(training_examples(toml, COMPARED["images"], own[3], True, sent).labels) == 0
    both = training_examples(toml, COMPARED["descriptions"], own[0], True, sent)
    assert set(both.labels[both.n_real :].tolist()) == set(range(4))
    assert len(both.sources.unique()) == 2 + 4


def test_untrained_variant_takes_one_round_and_keeps_the_model(small_shared: Small) -> None:
    folder = _run(small_shared("shared.variants=['zero-shot']"))
    assert [row["round"] for row in logged(folder)] == [1]
    saved = checkpoint.load(folder / "checkpoints" / "clip-untrained.npz").arrays
    assert not saved["outward"].any()


def test_class_is_served_from_its_round_and_trained_on_from_the_next(small_arrival: Small) -> None:
    # Hardly trained and not centred, so that CLIP's own guesses remain: bags among them.
    own = ("train.lr=1e-9", "shared.centre=false", "arrival.class_name=bag")
    config = small_arrival(*own)
    folder = _run(config)
    bag = images(config.to_toml()).classes.index("bag")
    rows = {(row["arm"], row["round"]): row["clients"] for row in logged(folder)}
    for name in ("Described", "Described and synthesised", "Real images of it"):
        guessed = [
            sum(np.array(c["test_counts"])[:, :, bag].sum() for c in rows[name, number])
            for number in (1, 2)
        ]
        assert guessed[0] == 0
        assert guessed[1] > 0
    assert [c["n_synthetic"] for c in rows["Described and synthesised", 3]] == [6, 6, 6]
    assert not any(c["n_synthetic"] for c in rows["Described and synthesised", 2])
    real = [rows["Real images of it", number][0]["n_real"] for number in (2, 3)]
    assert real[0] < real[1]
    outcome = _outcome(folder)
    assert outcome["arrival"]["memory"].startswith("A bag is like a ")
    assert outcome["variants"][0]["before"] == 0
    assert "| Described and synthesised |" in (folder / "results.md").read_text()


def test_without_recall_the_class_is_composed_from_its_attributes(small_arrival: Small) -> None:
    from fairfed.shared_space.memory import synthesiser

    toml = small_arrival("arrival.recall=false", "arrival.class_name=coat").to_toml()
    coat, dress = (images(toml).classes.index(name) for name in ("coat", "dress"))
    new, seen = (synthesiser(toml).request(label, 0, 0) for label in (coat, dress))
    assert "coat" not in new.prompt
    assert "sleeves" in new.prompt
    assert "dress" in seen.prompt


def test_a_class_that_nothing_describes_is_found_before_it_arrives(
    small_arrival: Small, tmp_path: Path
) -> None:
    table = "class,prompt,handle,laces,long\nbag,bag,1,0,0\nboot,boot,0,1,0\ncoat,coat,0,0,0\n"
    (tmp_path / "bare.csv").write_text(table + "dress,dress,0,0,1\n")
    bare = (f"semantic.attributes={tmp_path}/bare.csv", "shared.class_text=name")
    check(small_arrival(*bare))
    with pytest.raises(InputError, match="'coat' has no attribute of at least 0.5"):
        check(small_arrival(*bare, "arrival.recall=false"))
    check(small_arrival(*bare, "arrival.recall=false", "arrival.variants=['described']"))


def test_rounds_without_a_usable_reply_are_told(
    small_arrival: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairfed.errors import PublicInputError

    def nothing(toml: str, label: int) -> None:
        raise PublicInputError("nothing was accepted")

    monkeypatch.setattr("fairfed.shared_space.examples.synthetic", nothing)
    config = small_arrival("rounds=4", "arrival.variants=['described', 'synthesised']")
    text = (_run(config) / "results.md").read_text()
    assert "Described and synthesised: in 2 of 4 rounds (3, 4) no client gave a usable" in text
    assert "nothing was accepted" in text
    assert "Described: in" not in text


def test_a_round_that_nobody_evaluated_has_no_recall(small_shared: Small) -> None:
    def unheard(request: Message, client: int) -> str | None:
        config = request.content.config_records.get("config")
        evaluated = request.metadata.message_type == "evaluate.shared"
        return "lost" if evaluated and config and config["round"] == 2 else None

    folder = _run(small_shared("rounds=2", "shared.variants=['images']"), drop=unheard)
    (variant,) = _outcome(folder)["variants"]
    assert (variant["mean"], variant["missing"], variant["worst"]) == (None, None, None)
    assert set(variant["recall"].values()) == {None}
    assert "| Images only | – | – | – | – |" in (folder / "results.md").read_text()


@pytest.mark.usefixtures("seeded_noise")
def test_nothing_is_centred_where_no_image_sum_is_released(
    small_shared: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fairfed.cli.running import run_here

    own = ("rounds=1", "shared.variants=['descriptions', 'captions']")
    withheld = small_shared(*own, "augment.minimum=1000", f"out={tmp_path}/withheld")
    run_here(withheld)
    assert "Not centred: no client has released" in capsys.readouterr().out
    plain = _run(small_shared(*own, "shared.centre=false", f"out={tmp_path}/plain"))
    assert logged(withheld) == logged(plain)
    assert "augment.minimum = 1000" in (withheld.run_directory / "results.md").read_text()
    centred = _run(small_shared(*own, "augment.minimum=1", f"out={tmp_path}/centred"))
    assert logged(centred) != logged(plain)
    assert "Not centred" not in (centred / "results.md").read_text()


@pytest.mark.usefixtures("seeded_noise")
def test_workers_and_the_wire_change_nothing(small_shared: Small, tmp_path: Path) -> None:
    own = ("rounds=2", "shared.variants=['captions']")
    one = _run(small_shared(f"out={tmp_path}/one", *own), workers=1)
    two = _run(small_shared(f"out={tmp_path}/two", *own), workers=3, wire=True)
    _same_end(one, two)
    other = _run(small_shared(f"out={tmp_path}/other", *own, "seed=1"))
    assert logged(one) != logged(other)


@pytest.mark.usefixtures("seeded_noise")
def test_interrupted_run_ends_with_the_same_bits(small_arrival: Small, tmp_path: Path) -> None:
    own = ("arrival.variants=['synthesised']",)
    whole = _run(small_arrival(f"out={tmp_path}/whole", *own))
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
    folder = _run(config)
    assert (folder / "clients.json").read_bytes() == told
    assert logged(folder)[:2] == before
    assert [row["round"] for row in logged(folder)] == [1, 2, 3]
    assert _outcome(folder)


def test_clients_are_asked_for_their_sums_once_in_a_run(small_shared: Small) -> None:
    config = small_shared("rounds=2", "shared.variants=['images']")
    asked: list[str] = []

    def cut(request: Message, client: int) -> None:
        asked.append(request.metadata.message_type)
        if asked.count("train.shared") == 5:  # in round 2
            raise _Killed

    with pytest.raises(_Killed):
        _run(config, drop=cut)
    first = (config.run_directory / "clients.json").read_bytes()
    _run(config, drop=lambda request, client: asked.append(request.metadata.message_type))
    assert asked.count("query.shared") == 4
    assert (config.run_directory / "clients.json").read_bytes() == first


def test_the_stated_guarantee_is_that_of_a_row_in_both_sums(small_shared: Small) -> None:
    from fairfed.shared_space.centring import _noised

    plain = small_shared("augment.minimum=1")
    toml = small_shared(
        "augment.minimum=1", "shared.image_clients=0", "shared.both_clients=2"
    ).to_toml()
    for client, kind in enumerate(("both", "both", "text")):
        assert holdings(toml)[client].kind == kind
        found = _noised(toml, client)
        assert (found.guarantee.epsilon, found.guarantee.delta) == (4.0, 1e-5)
    both, images_alone = (_noised(t, 0).variances for t in (toml, plain.to_toml()))
    assert both[0] > 1.5 * images_alone[0]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("arms=[{name='A'}]", "has no arms"),
        ("shared.missing=['bag', 'unicorn']", "shared.missing: there is no class 'unicorn'"),
        ("shared.classes_per_client=3", "images are there of 2 classes only"),
        ("arrival={class_name='coat', round=2}", "is in shared.missing, too"),
        ("arrival={class_name='bag', round=3}", "arrival.round is 3 of 3 rounds"),
        ("semantic.attributes=names", "no attribute of at least 0.5"),
        ("model=clip-head", "model: a run with .* 'clip-head' has no effect; leave model out"),
        ("partition.clients=3", "partition.clients: a run with .* 3 has no effect"),
        ("partition.options={alpha=0.1}", "partition.options: a run with"),
        ("train.proximal=0.1", "train.proximal: a run with"),
        ("train.debias=reweighing", "train.debias: a run with"),
        ("train.augmentation=mixup", "train.augmentation: a run with"),
    ],
)
def test_mistakes_are_found_before_anything_is_written(
    small_shared: Small, setting: str, message: str
) -> None:
    config = small_shared(setting)
    with pytest.raises(InputError, match=message):
        check(config)
    assert not config.run_directory.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[shared]\nmissing = []", "clients with captions alone hold those of the missing"),
        ("[shared]\nimage_clients = 0\nboth_clients = 0\ntext_clients = 0", "no client has images"),
        ("[arrival]\nclass_name = 'Bag'\nround = 2", r"add a section \[shared\]"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_config(text, "shared.toml")


def test_terminal_shows_the_table_and_names_the_results_last(
    small_shared: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    from fairfed.cli.running import run_here

    config = small_shared("shared.variants=['captions']", "rounds=1", "shared.centre=false")
    run_here(config)
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1] == f"Results: {config.run_directory / 'results.md'}"
    assert any("Images and captions" in line for line in lines)
