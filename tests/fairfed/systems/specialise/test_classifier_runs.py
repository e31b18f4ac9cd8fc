"""Whole runs of adapted CLIP classifiers: what travels, resumption, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Message

from fairfed.config import Config
from fairfed.sites.model_sources import ModelSources
from fairfed.sites.workplace import Workplace
from fairfed.system import simulation_of
from semantic.errors import InputError
from tests.fairfed.runs import place_of

Small = Callable[..., Config]
Play = Callable[..., list[Message]]
Logged = Callable[[Config], list[dict[str, Any]]]

ARMS = """arms=[
  {name="Full", adapt="full"}, {name="Head", adapt="head"}, {name="Bias", adapt="bias"},
  {name="LoRA", adapt="lora"}, {name="Prompt", adapt="prompt"},
  {name="Scratch", adapt="full", from_scratch=true},
]""".replace("\n", " ")
RATES = "adapt.lr={ full = 0.01, prompt = 0.5 }"


def test_only_the_adapted_part_travels(small: Small, play: Play, logged: Logged) -> None:
    config = small(ARMS, "model=clip", "rounds=1", RATES)
    replies = [reply for reply in play(config) if "arrays" in reply.content]
    trained = {row["arm"]: row for row in logged(config)}
    assert len(replies) == 3 * len(config.arms)
    for arm, start in zip(config.arms, range(0, len(replies), 3), strict=True):
        state = place_of(config).model(arm).state_dict()
        for reply in replies[start : start + 3]:
            sent = reply.content.array_records["arrays"]
            assert list(sent) == list(state), arm.name
        sizes = {c["bytes_up"] for c in trained[arm.name]["clients"]}
        assert len(sizes) == 1
        assert all(c["bytes_down"] == 2 * c["bytes_up"] for c in trained[arm.name]["clients"])
    size = {name: row["clients"][0]["bytes_up"] for name, row in trained.items()}
    assert all(size[n] < 0.01 * size["Full"] for n in ("Head", "Bias", "LoRA", "Prompt"))
    assert size["Scratch"] == size["Full"]


def test_a_run_goes_on_bit_for_bit_whatever_the_workers(
    small: Small, play: Play, logged: Logged, tmp_path: Path
) -> None:
    arms = 'arms=[{name="LoRA", adapt="lora"}, {name="Prompt", adapt="prompt"}]'
    settings = arms, "model=clip", RATES
    whole = small(*settings, f"out={tmp_path}/whole")
    play(whole, workers=1)
    cut = small(*settings, f"out={tmp_path}/cut")
    play(cut, stop=1, workers=3)
    play(cut, workers=3)
    assert logged(cut) == logged(whole)
    assert len(logged(whole)) == 4


def test_a_learning_rate_belongs_to_its_method(small: Small) -> None:
    from fairfed.config.training import training_settings

    config = small(ARMS, "model=clip", "train.lr=0.05", RATES)
    rates = {arm.name: training_settings(config, arm)["lr"] for arm in config.arms}
    assert rates["Full"] == rates["Scratch"] == 0.01
    assert rates["Prompt"] == 0.5
    assert rates["Head"] == rates["Bias"] == rates["LoRA"] == 0.05
    config = small(ARMS, "model=clip", "adapt.lr={ full = 0.01, scratch = 0.2 }")
    rates = {arm.name: training_settings(config, arm)["lr"] for arm in config.arms}
    assert (rates["Full"], rates["Scratch"]) == (0.01, 0.2)


def test_a_client_with_other_weights_says_so(small: Small) -> None:
    study = simulation_of(small("model=clip")).study
    assert study.fingerprints["encoder"] == Workplace(study, ModelSources()).encoder.fingerprint
    other = study.model_copy(update={"fingerprints": {"encoder": "0" * 64}})
    with pytest.raises(InputError, match="'bundled' has other weights here .* install the same"):
        Workplace(other, ModelSources()).encoder  # noqa: B018  (loaded, or refused)


def test_it_runs_beside_synthetic_images_and_a_probe(
    small: Small, play: Play, logged: Logged
) -> None:
    arms = 'arms=[{name="A", adapt="lora", augment=true, signal="probe", rule="fairfed"}]'
    config = small(arms, "model=clip", "rounds=1", "fairness.probe=1", "synthesis.per_class=2")
    play(config)
    clients = logged(config)[0]["clients"]
    assert all(client["error"] is None and client["n_synthetic"] > 0 for client in clients)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (('arms=[{name="A", adapt="lora"}]',), "'A': adapt is of a pretrained network"),
        (("model=clip", 'arms=[{name="A", from_scratch=true}]'), "nothing pretrained to adapt"),
        (
            ("model=clip", "inversion.start=2", 'arms=[{name="A", inversion="client"}]'),
            "inversion is of a model",
        ),
        (
            ("model=clip", "adapt.method=head", 'arms=[{name="A", augmentation="randaugment"}]'),
            "'head' embeds every image once",
        ),
        (("model=clip", "adapt.method=soft"), "adapt.method: expected 'full', 'head', 'bias'"),
        (("model=clip", "adapt.lr={ lora = 0.0 }"), r"adapt\.lr\.lora: .*greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused(
    small: Small, settings: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        small(*settings)
