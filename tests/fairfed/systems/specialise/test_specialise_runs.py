"""Whole runs of domain specialisation on a tiny Stable Diffusion."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Message

from fairfed.config import Config
from fairfed.errors import RunError
from fairfed.server import checked
from fairfed.system import simulation_of
from fairfed.systems.specialise import task
from fairfed.systems.specialise.client import captions, specialiser
from semantic.errors import InputError
from tests.fairfed.runs import killed, place_of

Small = Callable[..., Config]
Play = Callable[..., list[Message]]
Logged = Callable[[Config], list[dict[str, Any]]]

NO_ARMS = 'arms=[{name="FedAvg"}]'
FEW = ("specialise.steps=2", "specialise.batch_size=4", "specialise.lr=0.05")


def test_only_lora_weights_counts_and_losses_leave_a_client(small: Small, play: Play) -> None:
    config = small(NO_ARMS, *FEW)
    start = specialiser(place_of(config)).start
    replies = play(config)
    assert len(replies) == 3 * (1 + 1 + 2 * 2)  # handshake, judgement before, rounds
    for reply in replies:
        assert set(reply.content) <= {"arrays", "metrics", "who"}
        assert dict(reply.content.config_records.get("who", {})).keys() <= {"name"}
        metrics = dict(reply.content.metric_records["metrics"])
        assert set(metrics) <= {
            "partition-id", "n-real", "loss", "seconds", "train-cells", "test-cells",
        }  # fmt: skip
        assert not any(isinstance(value, list) for value in metrics.values())
        for record in reply.content.array_records.values():
            shapes = {name: tuple(array.numpy().shape) for name, array in record.items()}
            assert shapes == {name: tuple(value.shape) for name, value in start.items()}


def test_a_run_leaves_a_lora_that_the_generator_reads(small: Small, play: Play) -> None:
    from generators.diffusion import StableDiffusionGenerator

    config = small(NO_ARMS, "specialise.steps=10", "specialise.lr=0.01")
    checked(config)
    play(config)
    folder = config.run_directory
    outcome = json.loads((folder / "results.json").read_text())
    assert len(outcome["losses"]) == 3
    assert outcome["losses"][-1] < outcome["losses"][0]
    assert f'lora = ["{folder / task.LORA}"]' in (folder / "results.md").read_text()
    plain = StableDiffusionGenerator(place_of(config).diffusion)
    adapted = small(NO_ARMS, f'generator.lora=["{folder / task.LORA}"]')
    made = StableDiffusionGenerator(place_of(adapted).diffusion)
    assert made.fingerprint != plain.fingerprint


def test_results_name_the_lora_that_training_began_from_as_well(
    small: Small, play: Play, tmp_path: Path
) -> None:
    first = small(NO_ARMS, *FEW, "rounds=1", f"out={tmp_path}/first")
    play(first)
    before = f"{first.run_directory / task.LORA}:0.5"
    own = (f"out={tmp_path}/second", f'generator.lora=["{before}"]')
    second = small(NO_ARMS, *FEW, "rounds=1", *own)
    play(second)
    folder = second.run_directory
    text = (folder / "results.md").read_text()
    assert f'lora = ["{before}", "{folder / task.LORA}"]' in text


def test_a_run_goes_on_bit_for_bit_whatever_the_workers(
    small: Small, play: Play, logged: Logged, tmp_path: Path
) -> None:
    whole = small(NO_ARMS, *FEW, f"out={tmp_path}/whole")
    play(whole, workers=1)
    cut = small(NO_ARMS, *FEW, f"out={tmp_path}/cut")
    play(cut, stop=1, workers=3)
    assert not (cut.run_directory / task.LORA).exists()
    play(cut, workers=3)
    assert logged(cut) == logged(whole)
    outcome = [(c.run_directory / task.LORA).read_bytes() for c in (cut, whole)]
    assert outcome[0] == outcome[1]


def test_a_killed_run_ends_with_the_same_bits(small: Small, play: Play, tmp_path: Path) -> None:
    whole, cut = (small(NO_ARMS, *FEW, f"out={tmp_path}/{name}") for name in ("whole", "cut"))
    killed(cut, 2, tmp_path)
    play(cut)
    play(whole)
    ends = [(config.run_directory / task.LORA).read_bytes() for config in (cut, whole)]
    assert ends[0] == ends[1]


def test_captions_are_guesses_from_the_images_alone(small: Small) -> None:
    config = small(NO_ARMS, *FEW)
    pixels = simulation_of(config).images.table.images[:8]
    known = {f"a photo of a {group} {noun}" for group in "fm" for noun in ("bag", "coat", "dress")}
    assert set(captions(place_of(config), pixels)) <= known
    unconditional = small(NO_ARMS, "specialise.caption=empty")
    assert captions(place_of(unconditional), pixels) == [""] * 8


def test_clients_with_other_weights_refuse_and_say_why_at_home(
    small: Small, play: Play, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = small(NO_ARMS, *FEW)
    maker = specialiser(place_of(config))

    class Other:
        """At clients: the same pipeline under another identity."""

        identity = "other"
        start = maker.start

    monkeypatch.setattr("fairfed.systems.specialise.client.specialiser", lambda place: Other())
    with pytest.raises(RunError, match="no client could judge the LoRA.*InputError at client 0"):
        play(config)
    assert "other weights here than at the server" in caplog.text


def test_arms_and_tables_are_refused(small: Small) -> None:
    with pytest.raises(InputError, match=r"leave \[\[arms\]\] out"):
        checked(small(*FEW))
