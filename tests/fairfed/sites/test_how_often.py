"""How many trainings leave a site for a study, over restarts, runs and crashes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairfed.config import Config, parse_config
from fairfed.config.peers import PHASES
from fairfed.config.site import SiteConfig, SitePolicy
from fairfed.sites.policy import counts_as_training, refusals, too_many
from fairfed.systems.peers.schedule import PHASES as NAMED
from tests.fairfed.sites.conftest import Hospitals, play_here, study
from tests.fairfed.sites.test_what_leaves import asked, lines

Small = Callable[..., Config]
ONE_ARM = 'arms=[{name="FedAvg"}]'
TWO = "[policy]\nmax_rounds = 2\n"


def trained(site: SiteConfig, config: Config, *sent: dict[str, Any]) -> list[bool]:
    """Whether each of these trainings left; the site's process is new every time."""
    return [
        not asked(site, config, "FedAvg", ("train", {"round": 1, **one}))[0].has_error()
        for one in sent
    ]


def test_one_round_is_not_asked_for_again_and_again_with_other_models(
    small: Small, hospitals: Hospitals, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    real = study(small(ONE_ARM), tmp_path / "real")
    site = hospitals(a=TWO)[0]
    first, second, third = ({"ask-loss": True}, {}, {"cell-weights": [1.0] * 6})
    assert trained(site, real, first, second, third) == [True, True, False]
    assert "policy.max_rounds: 2 trainings of studies of this name have left" in caplog.text
    assert lines(site)[-1]["error"] == "InputError"


def test_the_same_question_is_answered_again_as_after_a_crash(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    real = study(small(ONE_ARM), tmp_path / "real")
    site = hospitals(a=TWO)[0]
    again = {"receipts": ["ab"], "exchange": 7}  # nothing of these is asked
    assert trained(site, real, {}, {}, again, {"round": 2}, {}) == [True] * 5
    assert trained(site, real, {"ask-loss": True}) == [False]


def test_another_run_of_a_study_begins_with_what_has_left_for_it(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    site = hospitals(a=TWO)[0]
    assert trained(site, study(small(ONE_ARM), tmp_path / "a"), {}, {"round": 2}) == [True, True]
    changed = study(small(ONE_ARM, "train.lr=0.5"), tmp_path / "b")
    assert trained(site, changed, {}) == [False]
    renamed = changed.model_copy(update={"name": "another"})
    assert trained(site, renamed, {}) == [True]


def test_a_study_over_several_arms_and_its_repetition_are_not_refused(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    two = 'arms=[{name="FedAvg"}, {name="Loss", rule="afl"}]'
    sites = hospitals(a=TWO, b=TWO)
    for folder in ("first", "again"):
        play_here(study(small(two), tmp_path / folder), sites)
    questions = {line["question"] for line in lines(sites[0]) if "question" in line}
    assert len(questions) == 4


def test_lines_of_an_earlier_version_count_each(
    small: Small, hospitals: Hospitals, tmp_path: Path
) -> None:
    real = study(small(ONE_ARM), tmp_path / "real")
    site = hospitals(a=TWO)[0]
    folder = Path(site.state.directory)
    folder.mkdir()
    old = {"time": "", "study": real.name, "asked": "train", "round": 1, "numbers": {"loss": 1}}
    failed = {"time": "", "study": real.name, "asked": "train", "round": 1, "error": "InputError"}
    (folder / "ledger.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in (old, failed)))
    assert trained(site, real, {}, {"round": 2}) == [True, False]


def test_another_process_that_answers_meanwhile_is_counted(
    small: Small, hospitals: Hospitals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = study(small(ONE_ARM), tmp_path / "real")
    site = hospitals(a="[policy]\nmax_rounds = 2\n")[0]
    assert trained(site, real, {}) == [True]
    from fairfed.systems.classifier import training

    train, inner = training.train, []

    def slow(request: Any) -> Any:
        monkeypatch.setattr(training, "train", train)
        inner.append(_line_of_another(site))
        return train(request)

    monkeypatch.setattr(training, "train", slow)
    assert trained(site, real, {"round": 2}) == [False]
    assert lines(site)[-1]["error"] == "InputError"


def _line_of_another(site: SiteConfig) -> None:
    from fairfed.sites.ledger import Ledger

    (first,) = (line for line in lines(site) if "question" in line)
    del first["n"], first["before"], first["sha256"]
    Ledger(Path(site.state.directory)).append(first | {"question": "another"})


def test_what_is_counted_and_how_many_there_may_be() -> None:
    assert len(NAMED) == PHASES
    assert [kind for kind in ("train", "train.specialise", "query.peer", "query.own", "evaluate")
            if counts_as_training(kind)] == ["train", "train.specialise", "query.peer"]  # fmt: skip
    peers = parse_config("model = 'clip-head'\n[peers]\nmeta = ['reptile']", "study")
    policy = SitePolicy(max_rounds=3)
    assert too_many(policy, peers, "query.peer", 3 * PHASES - 1) is None
    assert too_many(policy, peers, "query.peer", 3 * PHASES)
    assert too_many(SitePolicy(), peers, "train", 10**6) is None


def test_a_study_of_few_sites_is_refused() -> None:
    few = parse_config("min_sites = 2", "study")
    assert not list(refusals(SitePolicy(min_sites=2), few, 0))
    (reason,) = refusals(SitePolicy(min_sites=3), few, 0)
    assert reason.startswith("policy.min_sites: the study may have as few as 2 sites")
