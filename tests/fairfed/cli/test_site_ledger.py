"""`fairfed site ledger` and `approve`, as a person at a hospital uses them."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairfed.cli import main
from fairfed.config.site import load_site
from fairfed.sites.checking import sent_study
from fairfed.sites.ledger import Ledger

EXAMPLE = Path(__file__).parents[3] / "examples" / "hospitals"
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospitals")
    runpy.run_path(str(EXAMPLE / "make_hospitals.py"))["main"](folder)
    with (folder / "north" / "site.toml").open("a") as file:
        file.write('\n[policy]\napprove = "ask"\n')
    return folder


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Function that does `fairfed site` in this process: exit code, both outputs."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fairfed", "site", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def entry(asked: str, **more: Any) -> dict[str, Any]:
    return {
        "time": "2026-12-01T03:01:00+00:00", "study": "skin", "fingerprint": "ab" * 32,
        "asked": asked, "action": "train", "round": 1, "arm": "fedavg", **more,
    }  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A site's ledger, beside its site.toml."""
    (tmp_path / "site.toml").write_text('name = "here"\n[data]\nsource = "images"\n')
    kept = Ledger(tmp_path / "state")
    metrics = {"kind": "numbers", "holds": {"loss": 1, "counts": 8}, "bytes": 90}
    arrays = {"kind": "arrays", "holds": 2, "bytes": 2910}
    counts = {"said": 6, "suppressed": 2}
    answer = {"records": {"metrics": metrics, "arrays": arrays}, "bytes": 3000, "counts": counts}
    kept.append(entry("train", **answer, digest="cd" * 32, question="q"))
    kept.append(entry("evaluate", error="InputError"))
    release = {"epsilon": 1.5, "delta": 1e-5, "sha256": "e"}
    kept.append(entry("query.release", **answer, digest="ef" * 32, release=release))
    other = entry("train", **answer, digest="aa" * 32, question="p")
    kept.append(other | {"study": "other\x1b[2J"})
    return kept


def test_a_ledger_is_told_by_study_and_then_by_its_last_lines(
    site: Command, ledger: Ledger, tmp_path: Path
) -> None:
    code, out, _ = site("ledger", tmp_path / "site.toml")
    rows = [line.split() for line in out.splitlines()]
    assert code == 0
    assert ["skin", "2", "1", "6.0", "12", "4", "1.5", "1e-05", "1"] in rows
    assert "all studies together: ε = 1.5 no budget (policy.dp) at δ = 1e-05" in out
    assert "loss, counts; 2 arrays" in out
    assert "error: InputError" in out
    assert "\x1b[2J" not in out
    code, out, _ = site("ledger", tmp_path / "site.toml", "--study", "skin", "--json")
    (found,) = json.loads(out)
    assert (found["study"], found["answers"], found["errors"]) == ("skin", 2, 1)
    code, _, err = site("ledger", tmp_path / "site.toml", "--study", "none")
    assert (code, "has no line of it" in err) == (2, True)


def test_a_broken_chain_is_named_and_ends_with_1(
    site: Command, ledger: Ledger, tmp_path: Path
) -> None:
    code, out, _ = site("ledger", tmp_path / "site.toml", "--verify")
    assert code == 0
    assert "Every line follows the one before it." in out
    assert "Receipts: 0 of 3 answers have a valid one." in out
    head = out.split("Head, to write down: ")[1].strip()
    assert site("ledger", tmp_path / "site.toml", "--verify", "--head", head)[0] == 0
    text = ledger.path.read_text()
    ledger.path.write_text("".join(text.splitlines(keepends=True)[:-1]))
    assert site("ledger", tmp_path / "site.toml", "--verify")[0] == 0
    code, out, _ = site("ledger", tmp_path / "site.toml", "--verify", "--head", head)
    assert (code, "is that of no line" in out) == (1, True)
    ledger.path.write_text(text.replace("1.5", "0.5"))
    code, out, _ = site("ledger", tmp_path / "site.toml", "--verify")
    assert (code, "Broken: line 3 was altered." in out) == (1, True)
    code, out, _ = site("ledger", tmp_path / "site.toml", "--verify", "--json")
    assert (code, json.loads(out)["wrong"]) == (1, "line 3 was altered")


def test_a_site_without_a_ledger_says_so(site: Command, tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('name = "here"\n[data]\nsource = "images"\n')
    code, _, err = site("ledger", tmp_path / "site.toml")
    assert (code, "nothing has left the site" in err) == (2, True)


def test_a_person_approves_a_study_and_takes_it_back(
    site: Command, hospitals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, study = hospitals / "north" / "site.toml", hospitals / "study.toml"
    code, _, err = site("check", own, "--federation", study)
    assert (code, "nobody here has approved the study: fairfed site approve" in err) == (2, True)
    monkeypatch.setattr("typer.confirm", lambda text: False)
    code, out, _ = site("approve", own, study)
    assert (code, out.splitlines()[-1]) == (1, "Not approved.")
    code, out, _ = site("approve", own, study, "--yes")
    assert code == 0
    mark = sent_study(study, load_site(own)).fingerprint
    assert out.splitlines()[-1] == f"Approved: hospitals, {mark}"
    assert "synthetic images wanted" in out  # as `check` shows it
    assert site("check", own, "--federation", study)[0] == 0
    code, out, _ = site("approve", own, study, "--yes")
    assert "Approved already." in out
    assert site("approve", own, study, "--revoke")[0] == 0
    code, _, err = site("approve", own, study, "--revoke")
    assert (code, "there is nothing to revoke" in err) == (2, True)
    assert site("check", own, "--federation", study)[0] == 2
