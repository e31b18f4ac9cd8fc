"""`fairfed attack` on small runs: it finds what training has memorised, and not what is hidden."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from evaluation.attacks import Attacked
from fairfed.attacks.inversion import invert_run, recognise
from fairfed.attacks.membership import IMAGES, LIRA, LOSS, MODEL, UPDATE, attack_run
from fairfed.config import Config, parse_config
from semantic.errors import InputError
from tests.fairfed import configurations
from tests.fairfed.data.tables.loans import loans
from tests.fairfed.runs import play, run_of

Small = Callable[..., Config]


def _all(found: list[Attacked]) -> dict[tuple[str, str], Attacked]:
    return {(one.target, one.attack): one for one in found if one.group is None}


def _table(folder: Path, *overrides: str) -> Config:
    folder.mkdir(parents=True, exist_ok=True)
    table = loans()
    table["loan"] = table["loan"].sample(frac=1, random_state=0).to_numpy()  # nothing to learn
    table.to_csv(folder / "people.csv", index=False)
    text = configurations.table(folder, folder / "people.csv")
    few = "arms=[{name='FedAvg'}]", "rounds=3", "train.epochs=60", "train.lr=0.3"
    return parse_config(text, "people.toml", (*few, *overrides))


@pytest.fixture(scope="module")
def memorised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that can learn nothing but the rows themselves."""
    return run_of(_table(tmp_path_factory.mktemp("memorised")))


def test_rows_that_were_memorised_are_found(memorised: Path) -> None:
    found = attack_run(memorised, "FedAvg", shadows=4)
    everyone = _all(found)
    assert everyone[MODEL, LOSS].auc.low > 0.5
    assert (everyone[MODEL, LOSS].members, everyone[MODEL, LOSS].others) == (144, 48)
    assert (MODEL, LIRA) in everyone
    assert any(target == UPDATE for target, _ in everyone)
    assert {one.group for one in found} == {None, "f", "m"}


def test_under_masks_there_is_no_update_to_attack(tmp_path: Path) -> None:
    run = run_of(_table(tmp_path, "privacy.secure_sum=true", "train.epochs=1"))
    assert {target for target, _ in _all(attack_run(run, "FedAvg", shadows=0))} == {MODEL}


def test_noise_takes_the_updates_with_it(memorised: Path, tmp_path: Path) -> None:
    noised = run_of(_table(tmp_path, "train.dp={epsilon=1.0, delta=1e-4}"))
    plain, private = (
        next(one for one in attack_run(run, "FedAvg", shadows=0)
             if one.target == UPDATE and one.group is None).auc.value
        for run in (memorised, noised)
    )  # fmt: skip
    assert private < plain
    assert private < 0.65


def test_an_image_is_found_in_a_step_and_not_under_noise() -> None:
    """A layer whose gradient is the image itself gives it away; noise does not."""
    draws = torch.Generator().manual_seed(0)
    images = torch.rand((40, 3, 8, 8), generator=draws)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.Tanh(), nn.Linear(16, 3))
    some, labels, others = images[:4], torch.arange(4) % 3, images[4:]
    plain = recognise(model, some, labels, others, "plain")
    private = recognise(model, some, labels, others, "noised", dp=(1.0, 2.0))
    assert (plain.recognised, plain.updates) == (4, 4)
    assert plain.likeness > 0.6
    assert private.recognised <= 1
    assert private.likeness < 0.3
    assert plain.chance == 1 / 37


def test_synthetic_images_are_attacked_too(small: Small, tmp_path: Path) -> None:
    config = small('arms=[{name="Both", augment=true}]', "rounds=1", f"out={tmp_path}/run")
    play(config)
    found = _all(attack_run(config.run_directory, "Both", shadows=2))
    assert {target for target, _ in found} == {MODEL, UPDATE, IMAGES}
    one, ten = invert_run(config.run_directory, "Both", 1)
    assert (one.updates, ten.updates) == (1, 10)


def test_the_command_writes_figures_and_the_report_has_them(
    memorised: Path, fairfed: Callable[..., tuple[int, str]]
) -> None:
    code, said = fairfed("attack", memorised, "--shadows", "2")
    assert (code, "Attacks on FedAvg" in said) == (0, True)
    kept = json.loads((memorised / "attacks.json").read_text())
    assert kept["arms"]["FedAvg"][0]["auc"]["value"] > 0.5
    assert "who was trained on?" in (memorised / "report.html").read_text("utf-8")


def test_what_cannot_be_attacked_is_said(
    memorised: Path, tmp_path: Path, fairfed: Callable[..., tuple[int, str]]
) -> None:
    with pytest.raises(InputError, match="no arm 'Nobody'; there are: FedAvg"):
        attack_run(memorised, "Nobody")
    code, said = fairfed("attack", memorised, "--shadows", "3")
    assert (code, "expected an even number" in said) == (2, True)
    code, said = fairfed("attack", tmp_path)
    assert (code, "no run; expected the directory" in said) == (2, True)
