"""Runs under differential privacy: what is refused, spent once, and said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Message

from evaluation import read_run
from evaluation.report.privacy import privacy_statement
from fairfed.config import Config
from fairfed.config.site import SiteConfig
from fairfed.errors import RunError
from fairfed.server import checked
from fairfed.sites.account import spent
from fairfed.systems.classifier import noised
from semantic.errors import InputError
from tests.fairfed.runs import logged, people, play
from tests.fairfed.sites.conftest import Hospitals, play_here, study
from tests.fairfed.sites.test_what_leaves import asked, lines

Small = Callable[..., Config]
DP = "train.dp={epsilon=4.0, delta=1e-4, clip=0.5}"
ONE_ARM = 'arms=[{name="FedAvg"}]'
REAL = (ONE_ARM, DP, "model=cnn-gn")
BUDGET = "[policy]\ndp = {{ epsilon = {epsilon}, delta = 1e-4 }}\n"


def test_a_run_trains_and_says_what_its_noise_covers(tmp_path: Path) -> None:
    config = people(tmp_path, DP)
    play(config, wire=True)
    for line in logged(config):
        assert [row["error"] for row in line["clients"]] == [None] * len(line["clients"])
        assert {row["loss"] for row in line["clients"]} == {None}
    said = " ".join(privacy_statement(read_run(config.run_directory)))
    assert "ε = 4 and δ = 0.0001 for each of its rows" in said
    assert "does not cover counts, losses" in said


def test_a_table_whose_columns_are_fitted_in_the_run_trains_as_well(tmp_path: Path) -> None:
    config = people(tmp_path, DP, "rounds=1", "data.table.categorical=['town']")
    checked(config)
    play(config)
    assert logged(config)[0]["clients"][0]["error"] is None


def test_it_goes_under_masks_as_well(tmp_path: Path) -> None:
    config = people(tmp_path, DP, "privacy.secure_sum=true", "rounds=1")
    replies = play(config)
    sent = [r for r in replies if r.metadata.message_type == "train"]
    assert sent
    assert not any(reply.content.array_records for reply in sent)
    assert logged(config)[0]["clients"][0]["error"] is None


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("train.augmentation=mixup", "augmentation 'mixup', which blends rows"),
        ("train.clip=1.0", "has steps and clipping of its own"),
        ("arms=[{name='A', control_variates=true}]", "has control_variates"),
        ("conditioning.start_from_real=true", "start from a site's own"),
        ("heads={}", "train.dp: is of classifiers"),
    ],
)
def test_what_does_not_go_with_it_is_refused(small: Small, override: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        small(DP, "model=cnn-gn", "rounds=1", override)


def test_a_network_that_mixes_rows_is_refused_before_anything(small: Small) -> None:
    with pytest.raises(InputError, match=r"train.dp: .*BatchNorm"):
        checked(small(DP, ONE_ARM))


def _trained(site: SiteConfig, config: Config, **sent: Any) -> Message:
    (reply,) = asked(site, config, "FedAvg", ("train", {"round": 1, **sent}))
    return reply


def _arrays(reply: Message) -> dict[str, Any]:
    found: ArrayRecord = reply.content.array_records["arrays"]
    return {name: array.numpy() for name, array in found.items()}


def test_the_noise_of_a_question_is_drawn_once(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    real, site = study(small(*REAL), tmp_path / "real"), hospitals()[0]
    first, again = (_arrays(_trained(site, real)) for _ in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    releases = [line["release"] for line in lines(site) if "release" in line]
    assert len(releases) == 2
    assert len({release["sha256"] for release in releases}) == 1
    other = _arrays(_trained(site, real, **{"ask-loss": True}))
    assert any((value != other[name]).any() for name, value in first.items())
    once, twice = (spent(some, 1e-4) for some in (lines(site)[:2], lines(site)))
    assert 0 < once < twice


def test_a_site_that_dies_between_noise_and_answer_spends_it_once(
    small: Small, hospitals: Hospitals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`kill -9` behind the training: the file is there, the ledger's line is not."""
    from fairfed.sites.gate import Gate

    real, site = study(small(*REAL), tmp_path / "real"), hospitals()[0]
    release = Gate.release

    def dies(self: Gate, request: Any, reply: Message) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Gate, "release", dies)
    with pytest.raises(KeyboardInterrupt):
        _trained(site, real)
    monkeypatch.setattr(Gate, "release", release)
    kept = next((Path(site.state.directory) / "studies").glob("*/noised/fedavg.bin")).read_bytes()
    reply = _trained(site, real)
    assert not reply.has_error()
    assert len([line for line in lines(site) if "release" in line]) == 1
    path = next((Path(site.state.directory) / "studies").glob("*/noised/fedavg.bin"))
    assert path.read_bytes() == kept


def test_a_budget_that_is_spent_stops_the_site(
    small: Small, hospitals: Hospitals, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two rounds of an arm spend ε = 4; a second arm is too much for 4.5."""
    two = 'arms=[{name="FedAvg"}, {name="Again"}]'
    budget = BUDGET.format(epsilon=4.5)
    sites = hospitals(a=budget, b=budget, c=budget)
    real = study(small(two, DP, "model=cnn-gn"), tmp_path / "real")
    with pytest.raises(RunError, match="arm 'again'"):
        play_here(real, sites)
    assert "policy.dp: with this answer all that has left under noise would spend" in caplog.text
    assert 3.5 < spent(lines(sites[0]), 1e-4) <= 4.5
    assert [line["arm"] for line in lines(sites[0]) if "release" in line] == ["fedavg"] * 2


def test_a_site_with_a_budget_trains_nothing_without_noise(
    small: Small, hospitals: Hospitals, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = hospitals(a=BUDGET.format(epsilon=4))[0]
    assert _trained(site, study(small(ONE_ARM), tmp_path / "real")).has_error()
    assert "policy.dp: the study would have weights or sums leave without noise" in caplog.text


def test_synthetic_rows_dilute_what_real_ones_spend(small: Small) -> None:
    """The ledger's mechanism is of the real rows: with others beside them, each is drawn less."""
    from tests.fairfed.runs import site_of

    config = small(DP, "model=cnn-gn", "synthesis.balance=false",
                   'arms=[{name="Plain"}, {name="Both", augment=true}]')  # fmt: skip
    site = site_of(config, 0)
    plain, both = (site.training_set(arm) for arm in site.study.arms)
    assert both.n_synthetic > 0
    rates = [noised.sampling_rates(len(one.labels), 8, one.weights) for one in (plain, both)]
    assert float(rates[1][: both.n_real].max()) < float(rates[0].max())
    assert len(both.labels) == both.n_real + both.n_synthetic  # no rendered copies
    assert json.loads(json.dumps(site.study.train.dp.model_dump()))["clip"] == 0.5  # type: ignore[union-attr]
