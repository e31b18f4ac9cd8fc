"""Studies that a person must have looked at, and what a study's fingerprint is of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.config import Config, FederationConfig, LabelSpace
from fairfed.config.site import SiteConfig, SitePolicy
from fairfed.config.table import TableConfig
from fairfed.errors import RunError
from fairfed.sites import approval
from fairfed.sites.checking import permitted, sent_study
from fairfed.sites.study import study_of
from semantic.errors import InputError
from tests.fairfed.sites.conftest import Hospitals, play_here, study
from tests.fairfed.sites.test_what_leaves import lines

Small = Callable[..., Config]
LABELS = LabelSpace(classes=("no", "yes"), sensitive={"sex": ("f", "m"), "age": ("old",)})
ASK = '[policy]\napprove = "ask"\n'


def test_a_fingerprint_is_of_all_that_is_sent_but_what_is_fitted() -> None:
    told = FederationConfig(labels=LABELS, table=TableConfig(numeric=("age",)))
    fitted = told.table.model_copy(update={"moments": {"age": (4.0, 1.0)}, "categories": {"a": ()}})
    assert told.model_copy(update={"table": fitted}).fingerprint == told.fingerprint
    read = FederationConfig.model_validate_json(told.to_json())
    assert read.fingerprint == told.fingerprint
    turned = LabelSpace(classes=LABELS.classes, sensitive={"age": ("old",), "sex": ("f", "m")})
    others = [
        told.model_copy(update=change)
        for change in (
            {"rounds": 13},
            {"labels": turned},
            {"min_sites": 2},
            {"table": TableConfig()},
        )
    ]
    assert len({one.fingerprint for one in (told, *others)}) == 5  # the order of columns, too


def test_a_study_is_refused_until_a_person_has_approved_it(
    small: Small, hospitals: Hospitals, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    arms = 'arms=[{name="FedAvg"}]'
    real = study(small(arms), tmp_path / "real")
    sites = hospitals(b=ASK)
    state = Path(sites[1].state.directory)
    with pytest.raises(RunError, match="NotApprovedError at client 1") as refused:
        play_here(real, sites)
    assert real.name not in str(refused.value)
    assert lines(sites[1])[-1]["error"] == "NotApprovedError"
    (kept,) = (state / "asked").iterdir()
    assert f"fairfed site approve site.toml {kept}" in caplog.text
    # What was kept is the study, and so is its file as it reads here.
    file = tmp_path / "study.toml"
    file.write_text(real.to_toml())
    told = sent_study(kept, sites[1])
    assert sent_study(file, sites[1]) == told == study_of(real, None).told
    assert not permitted(sites[1], file)
    approval.approve(told, state)
    assert permitted(sites[1], file)
    play_here(real, sites)
    changed = study(small(arms, "train.lr=0.5"), tmp_path / "other")
    with pytest.raises(RunError, match="NotApprovedError at client 1"):
        play_here(changed, sites)
    approval.approve(told, state, yes=False)
    with pytest.raises(RunError, match="NotApprovedError at client 1"):
        play_here(study(small(arms), tmp_path / "third"), sites)
    approvals = [json.loads(line)["approved"] for line in _lines(state / "approved.jsonl")]
    assert approvals == [True, False]


def test_fingerprints_in_the_policy_are_permitted_and_no_others(tmp_path: Path) -> None:
    told = FederationConfig(labels=LABELS)
    other = told.model_copy(update={"seed": 1})
    assert approval.permitted(SitePolicy(), told, tmp_path)
    named = SitePolicy(studies=(told.fingerprint,))
    assert approval.permitted(named, told, tmp_path)
    assert not approval.permitted(named, other, tmp_path)
    approval.approve(other, tmp_path)
    assert approval.permitted(named, other, tmp_path)
    with pytest.raises(ValueError, match="String should match pattern"):
        SitePolicy(studies=("hospitals",))


def test_a_damaged_approval_approves_nothing(tmp_path: Path) -> None:
    (tmp_path / "approved.jsonl").write_text('{"study": "s", "approved": true}\n')
    with pytest.raises(InputError, match=r"approved\.jsonl: line 1 is damaged"):
        approval.approved(tmp_path)


@pytest.mark.parametrize("text", ["{", '{"labels": {"classes": ["a"]}, "source": "/etc"}'])
def test_what_is_no_study_cannot_be_approved(
    text: str, tmp_path: Path, hospitals: Hospitals
) -> None:
    file = tmp_path / "asked.json"
    file.write_text(text)
    site: SiteConfig = hospitals()[0]
    with pytest.raises(InputError, match=r"asked\.json: no study"):
        sent_study(file, site)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()
