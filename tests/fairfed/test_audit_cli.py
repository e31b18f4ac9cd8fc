"""`fairfed audit` as a user meets it: files, counts, merging, the gate, exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.cli import main
from fairfed.cli.audit_settings import declared_names, resolve
from semantic.errors import InputError

EXAMPLE = Path(__file__).parents[2] / "examples" / "predictions.csv"
COLUMNS = (
    "--truth", "urgent", "--prediction", "predicted", "--score", "score", "--positive", "yes",
    "--sensitive", "sex", "--sensitive", "age", "--cuts", "age=40,65",
)  # fmt: skip
FAST = ("--replicates", "50")


class Answer:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Audit = Callable[..., Answer]


@pytest.fixture
def audit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Audit:
    """Function that runs `fairfed audit` in this process and an empty directory."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["fairfed", "audit", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


def _parts(folder: Path) -> list[Path]:
    """The example's rows in one file of each site."""
    with EXAMPLE.open(newline="") as file:
        head, *rows = csv.reader(file)
    paths = []
    for site in sorted({row[0] for row in rows}):
        path = folder / f"{site}.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([head, *(row for row in rows if row[0] == site)])
        paths.append(path)
    return paths


def test_help_says_how_to_call_it(audit: Audit) -> None:
    for arguments in ((), ("--help",)):
        shown = audit(*arguments).out
        assert "audit DATA… [OPTIONS]" in shown
        assert all(word in shown for word in ("count", "merge", "Exit codes", "data --help"))
    shown = audit("data", "--help").out
    assert all(option in shown for option in ("--truth", "--fail-on", "--junit", "--arm"))


def test_a_site_counts_and_nothing_else_is_in_the_file(audit: Audit, tmp_path: Path) -> None:
    found = audit("count", EXAMPLE, *COLUMNS, "--client", "site", "-o", "all.counts")
    assert found.code == 0, found.err
    assert "exact counts" in found.out
    content = json.loads((tmp_path / "all.counts").read_text())
    assert sum(row[0] for row in content["confusion"]["values"]) == 600
    assert content["schema"]["clients"] == ["east", "north", "south"]
    assert content["schema"]["axes"][1]["levels"] == ["< 40", "40 to < 65", ">= 65"]
    assert set(content) == {
        "format", "version", "fairfed", "schema", "releases", "sites", "confusion", "scores",
        "errors", "checksum",
    }  # fmt: skip


def test_small_cells_and_noise_are_said(audit: Audit, tmp_path: Path) -> None:
    bins = ("--bins", "8")
    found = audit("count", EXAMPLE, *COLUMNS, *bins, "-o", "k.counts", "--min-cell", "5")
    assert found.code == 0, found.err
    assert "cells with fewer than 5 rows left out" in found.out
    content = json.loads((tmp_path / "k.counts").read_text())
    assert min(row[0] for row in content["confusion"]["values"]) >= 5
    noise = ("--epsilon", "1", "--classes", "no,yes", "--site", "west")
    found = audit("count", EXAMPLE, *COLUMNS, *bins, *noise, "-o", "n.counts")
    assert found.code == 2
    assert "state all values of 'sex'" in found.err
    declared = ("--levels", "sex=female,male,other")
    found = audit("count", EXAMPLE, *COLUMNS, *bins, *noise, *declared, "-o", "n.counts")
    assert found.code == 0, found.err
    assert "discrete laplace noise, ε = 1" in found.out
    content = json.loads((tmp_path / "n.counts").read_text())
    assert content["schema"]["clients"] == ["west"]
    assert content["schema"]["axes"][0]["levels"] == ["female", "male", "other", "(missing)"]
    # Every cell of sex × age × truth × prediction, and of the histograms.
    assert len(content["confusion"]["keys"]) == 4 * 4 * 2 * 2
    assert len(content["scores"]["keys"]) == 4 * 4 * 2 * 8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no data to audit"),
        ((EXAMPLE, "--sensitive", "sex"), "which column holds the truth"),
        ((EXAMPLE, "--truth", "urgent"), "which columns are sensitive"),
        (("nowhere.csv", *COLUMNS), "nowhere.csv"),
        (("runs/typo",), "runs/typo: no such file, directory or match"),
        ((EXAMPLE, *COLUMNS, "--threshold", "0.3"), "0.3 is for one score without predictions"),
        ((EXAMPLE, *COLUMNS, "--threshold", "3"), "expected a number from 0 to 1"),
        (
            (EXAMPLE, "--truth", "urgent", "--prediction", "predicted", "--sensitive", "age"),
            "--cuts age=25,45, or let --auto-cuts",
        ),
        ((EXAMPLE, *COLUMNS, "--cuts", "age=old"), "'old' is no number"),
        ((EXAMPLE, *COLUMNS, "--cuts", "age"), "expected COLUMN=NUMBER"),
        ((EXAMPLE, *COLUMNS, "--score", "a", "--score", "b=c"), "expected CLASS=COLUMN"),
        ((EXAMPLE, *COLUMNS, "--missing", "guess"), "missing: expected 'group', 'drop' or 'error'"),
        ((EXAMPLE, *COLUMNS, "--min-group", "0"), "min_group"),
        ((EXAMPLE, *COLUMNS, "--arm", "FedAvg"), "--arm is for the directory of a run"),
        ((EXAMPLE, *COLUMNS, "--config", "none.toml"), "none.toml: no such file"),
        (("count", EXAMPLE, *COLUMNS, "-o", "x", "--client", "site", "--site", "a"), "--site"),
        (("count", EXAMPLE, *COLUMNS, "-o", "x", "--delta", "0.1"), "delta without epsilon"),
        (("count", EXAMPLE, *COLUMNS), "--out"),
        (("merge", "nowhere.counts"), "nowhere.counts: cannot be read"),
        (("merge", EXAMPLE), "no file of counts"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(
    audit: Audit, arguments: tuple[object, ...], said: str
) -> None:
    found = audit("--replicates", "0", *arguments) if not arguments else audit(*arguments)
    assert found.code == 2, found.out + found.err
    assert said in found.err
    assert "Traceback" not in found.err


def test_options_win_over_the_file_and_unknown_keys_are_named(tmp_path: Path) -> None:
    path = tmp_path / "audit.toml"
    path.write_text('truth = "y"\nsensitive = ["a"]\ncuts = { a = [1, 2] }\nby = [["a"]]\n')
    config = resolve(path, {"truth": "z", "by": ["a,b", "a"], "classes": "1, 0"})
    assert config.truth == "z"
    assert config.by == (("a", "b"), ("a",))
    assert config.cuts == {"a": (1.0, 2.0)}
    assert config.classes == ("1", "0")
    assert resolve(path, {}).by == (("a",),)
    path.write_text('truht = "y"\n')
    with pytest.raises(InputError, match=r"audit.toml: truht: unknown setting; did you mean 'tru"):
        resolve(path, {})
    path.write_text("cuts = { age = ['old'] }\n")
    with pytest.raises(InputError, match=r"cuts\.age"):
        resolve(path, {})
    scores = {"score": ["a=pa", "b=pb"]}
    assert resolve(None, scores).score == {"a": "pa", "b": "pb"}
    assert resolve(None, {"score": ["p"]}).score == "p"


def test_declared_names_are_written_as_the_reader_writes_them() -> None:
    options = {"classes": "1.0,0", "levels": ["age=1.0, 2", "site=x"], "client": "site"}
    declared = declared_names(resolve(None, options))
    assert list(declared.classes) == ["1", "0"]
    assert declared.levels == {"age": ["1", "2"]}
    assert list(declared.clients) == ["x", "(missing)"]


def test_sites_merge_to_the_audit_of_all_rows_byte_by_byte(audit: Audit, tmp_path: Path) -> None:
    for path in _parts(tmp_path):
        counted = audit("count", path, *COLUMNS, "--client", "site", "-o", f"{path.stem}.counts")
        assert counted.code == 0, counted.err
    sites = [f"{name}.counts" for name in ("south", "east", "north")]
    merged = audit("merge", *sites, *FAST, "--out", "merged", "--counts", "both.counts")
    assert merged.code == 0, merged.err
    bins = ("--bins", "1024")  # as in what leaves a site
    pooled = audit(EXAMPLE, *COLUMNS, "--client", "site", *bins, *FAST, "--out", "pooled")
    assert pooled.code == 0, pooled.err
    contents = [
        json.loads((tmp_path / n / "report.json").read_text()) for n in ("merged", "pooled")
    ]
    sources = [content["audit"].pop("source") for content in contents]
    assert sources[0] != sources[1]
    assert json.dumps(contents[0]) == json.dumps(contents[1])
    again = audit("merge", "both.counts", *FAST, "--out", "again")
    assert again.code == 0, again.err
    doubled = audit("merge", "both.counts", "east.counts", *FAST)
    assert doubled.code == 2
    assert "holds the same counts as" in doubled.err


def test_the_gate_decides_the_exit_code(audit: Audit, tmp_path: Path) -> None:
    call = (EXAMPLE, *COLUMNS, *FAST, "--by", "sex,age")
    held = audit(*call, "--fail-on", "accuracy_difference > 0.99", "--out", "a")
    assert held.code == 0, held.err
    assert "✓ held" in held.out
    condition = ("--fail-on", "equalized_odds_difference > 0.1")
    failed = audit(*call, *condition, "--junit", "b.xml", "--out", "b")
    assert failed.code == 1, failed.err
    assert "✗ failed" in failed.out
    assert "female" in failed.out
    suite = ET.parse(tmp_path / "b.xml").getroot()
    assert sum(1 for _ in suite.iter("failure")) == 1
    assert (tmp_path / "b" / "report.html").stat().st_size > 1000
    unknown = audit(*call, "--fail-on", "equalised_odds > 0.1")
    assert unknown.code == 2
    assert "equalized_odds_difference" in unknown.err


def test_a_mistyped_gate_is_refused_before_rows_are_read(audit: Audit, tmp_path: Path) -> None:
    for condition, said in (
        ("acuracy_difference > 0.1", "did you mean accuracy_difference"),
        ("accuracy_difference @ race > 0.1", "columns 'race' are not compared"),
        ("roc_auc < 0.7", "no gap or metric 'roc_auc'"),
    ):
        found = audit("nowhere.csv", *PLAIN, "--fail-on", condition, "--out", "o")
        assert found.code == 2
        assert said in found.err
    assert not (tmp_path / "o").exists()


def test_what_turns_out_undefined_is_reported_and_then_refused(
    audit: Audit, tmp_path: Path
) -> None:
    rows = ["0,0,a"] * 20 + ["0,0,b"] * 20 + ["1,0,b"] * 9 + ["1,1,b"]
    path = tmp_path / "min_eo.csv"
    path.write_text("\n".join(["y,p,g", *rows]))
    call = (path, "--truth", "y", "--prediction", "p", "--positive", "1", "--sensitive", "g")
    gate = ("--fail-on", "equalized_odds_difference > 0.1", "--junit", "o.xml", "--out", "o")
    found = audit(*call, *FAST, *gate)
    assert found.code == 2
    assert "✗ not audited" in found.out
    assert "false positive rate alone" in found.err
    assert "false positive rate alone" in (tmp_path / "o" / "report.md").read_text()
    suite = ET.parse(tmp_path / "o.xml").getroot()
    assert [suite.get(name) for name in ("failures", "errors")] == ["0", "1"]


def _copy(path: Path, change: dict[int, str]) -> Path:
    """The example with other predictions in some rows, counted from 1."""
    with EXAMPLE.open(newline="") as file:
        head, *rows = csv.reader(file)
    for row, label in change.items():
        rows[row - 1][head.index("predicted")] = label
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


PLAIN = ("--truth", "urgent", "--prediction", "predicted", "--sensitive", "sex")
YES = (*PLAIN, "--positive", "yes")
GATE = ("--replicates", "0", "--fail-on", "equal_opportunity_difference > 0.1")


def test_a_mistyped_label_does_not_turn_a_failed_gate_into_a_held_one(
    audit: Audit, tmp_path: Path
) -> None:
    assert audit(EXAMPLE, *YES, *GATE).code == 1
    odd = _copy(tmp_path / "odd.csv", {17: "Yes", 30: "maybe", 31: "maybe"})
    for command in ((odd, *YES, *GATE), ("count", odd, *YES, "-o", "odd.counts")):
        found = audit(*command)
        assert found.code == 2, found.out
        said = " ".join(found.err.split())
        for label, rows, row in (("maybe", 2, 30), ("Yes", 1, 17)):
            place = f"(0 true, {rows} predicted; first: {odd} row {row}, column 'predicted')"
            assert f"'{label}' {place}" in said
        assert "leave out --positive, or state them all with --classes" in said
    assert audit(odd, *PLAIN, *GATE).code == 2
    # Stated classes that no row truly has: their true positive rate cannot be audited.
    assert audit(odd, *YES, *GATE, "--classes", "no,yes,Yes,maybe").code == 2


def test_a_label_mistyped_at_one_site_is_found_when_counts_are_merged(
    audit: Audit, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_text("urgent,predicted,sex\nno,yes,f\nyes,yes,m\n")
    odd = tmp_path / "odd.csv"
    odd.write_text("urgent,predicted,sex\nyes,Yes,f\nyes,yes,m\n")
    for path in (plain, odd):
        assert audit("count", path, *YES, "-o", f"{path.stem}.counts").code == 0
    found = audit("merge", "plain.counts", "odd.counts", "--replicates", "0")
    assert found.code == 2
    assert "'Yes' (odd.counts)" in " ".join(found.err.split())
    for path in (plain, odd):
        stated = ("--classes", "no,yes,Yes", "--force")
        assert audit("count", path, *YES, *stated, "-o", f"{path.stem}.counts").code == 0
    assert audit("merge", "plain.counts", "odd.counts", "--replicates", "0").code == 0


def test_a_file_that_exists_is_replaced_by_counts_only_when_asked(
    audit: Audit, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("mine")
    assert audit("count", EXAMPLE, *YES, "-o", "site.counts").code == 0
    count, merge = ("count", EXAMPLE, *YES, "-o"), ("merge", "site.counts", *FAST, "--counts")
    for command, option in ((count, "--out"), (merge, "--counts")):
        refused = audit(*command, "mine.toml")
        assert refused.code == 2
        said = " ".join(refused.err.split())
        assert f"{option} mine.toml exists; give another name, or replace it with --force" in said
        assert "adds its ε and δ" in said
        assert mine.read_text() == "mine"
        assert audit(*command, "mine.toml", "--force").code == 0
        assert mine.read_text() != "mine"
        mine.write_text("mine")


def test_settings_of_files_are_refused_for_a_run(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "federation.json").write_text("{}")
    found = audit("run", "--truth", "x", "--positive", "yes", "--bins", "8")
    assert found.code == 2
    assert "run is a run" in found.err
    assert "(truth, positive)" in found.err


def test_noised_counts_are_audited_and_said_to_be_noised(audit: Audit) -> None:
    noise = ("--epsilon", "5", "--classes", "no,yes", "--levels", "sex=female,male")
    counted = audit("count", EXAMPLE, *COLUMNS, "--bins", "8", *noise, "-o", "n.counts")
    assert counted.code == 0, counted.err
    found = audit("merge", "n.counts", *FAST, "--out", "noised")
    assert found.code == 0, found.err
    assert "discrete laplace noise, ε = 5" in found.out
    assert "do not include" in found.out


def test_the_settings_file_of_the_examples_works(
    audit: Audit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(EXAMPLE.parents[1])
    found = audit("--config", "examples/audit.toml", *FAST, "--out", tmp_path / "out")
    assert found.code in (0, 1), found.err
    assert "Triage model" in found.out


def test_what_is_no_users_mistake_is_exit_code_2_with_its_traceback(
    audit: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bool:
        raise RuntimeError("out of order")

    monkeypatch.setattr("fairfed.cli.auditing.audit_here", broken)
    found = audit(EXAMPLE, *COLUMNS)
    assert found.code == 2
    assert "out of order" in found.err


def _table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


TINY = ("--min-group", "1", "--replicates", "0")


def test_a_columns_own_name_wins_over_what_else_an_option_may_mean(
    audit: Audit, tmp_path: Path
) -> None:
    text = 'y,p(y=1),age=years,"a,b",a,b\n1,0.9,30,x,u,v\n0,0.2,40,z,u,v\n'
    path = _table(tmp_path / "a.csv", text)
    call = (path, "--truth", "y", "--positive", "1", *TINY)
    cuts = ("--sensitive", "age=years", "--cuts", "age=years=35")
    named = audit(*call, "--score", "p(y=1)", *cuts)
    assert named.code == 0, named.err
    assert "< 35" in named.out
    for score, positive in (("1=p(y=1)", ()), ("1=p(y=1)", ("--positive", "1"))):
        found = audit(path, "--truth", "y", *TINY, *positive, "--score", score, *cuts)
        assert found.code == 0, found.err
        assert found.out == named.out
    for given, axes in (("a,b", ["a,b"]), ("a, age=years", ["a", "age=years"])):
        found = audit(*call, "--score", "p(y=1)", "--sensitive", given, "--out", "o")
        assert found.code == 0, found.err
        report = json.loads((tmp_path / "o" / "report.json").read_text())
        assert [axis["name"] for axis in report["audit"]["schema"]["axes"]] == axes
    found = audit(*call, "--score", "p(y=1)", "--sensitive", "a,Age=Years")
    assert found.code == 2
    assert "no column 'Age=Years' (did you mean 'age=years'?)" in found.err


def test_what_is_missing_can_be_said(audit: Audit, tmp_path: Path) -> None:
    path = _table(tmp_path / "a.csv", "y,p,g\n1,1,NA\n0,0,?\n1,0,NA\n0,1,b\n")
    call = (path, "--truth", "y", "--prediction", "p", "--sensitive", "g", *TINY)
    found = audit(*call)
    assert "2 rows with 'NA' in 'g' taken as missing" in " ".join(found.out.split())
    found = audit(*call, "--missing-values", "?, -")
    assert "1 row with '?' in 'g' taken as missing" in " ".join(found.out.split())
    assert "\nNA " in found.out
    found = audit(*call, "--missing-values", "")
    assert "taken as missing" not in found.out
    assert all(f"\n{name} " in found.out for name in ("?", "NA", "b"))
    declared = declared_names(resolve(None, {"levels": ["g=NA,b"], "missing_values": "?"}))
    assert declared.levels == {"g": ["NA", "b"]}


def test_what_was_judged_is_said_first(audit: Audit, tmp_path: Path) -> None:
    path = _table(tmp_path / "a.csv", "y,p,g\nhired,hired,f\nnot hired,hired,m\nhired,hired,m\n")
    call = (path, "--truth", "y", "--prediction", "p", "--sensitive", "g", *TINY)
    lines = audit(*call).out.strip().splitlines()
    assert lines[1] == "Positive class: hired (of: not hired, hired)."
    assert lines[2].split() == ["g", "n", "Base", "rate", "Selected", "TPR", "FPR"]
    assert lines[3].split() == ["f", "1", "1.000", "1.000", "1.000", "–"]
    assert lines[4].split() == ["m", "2", "0.500", "1.000", "1.000", "1.000"]
    path.write_text(path.read_text().replace("not hired", "fired"))
    asked = audit(*call)
    assert asked.code == 2
    said = "'fired' (1 true, 0 predicted), or 'hired' (2 true, 3 predicted)? Say it with --positive"
    assert said in " ".join(asked.err.split())
    assert not (tmp_path / "b").exists()
    counted = audit("count", path, *call[1:7], "-o", "b.counts")
    assert counted.code == 2
    assert not (tmp_path / "b.counts").exists()


def test_a_filled_in_card_is_kept(audit: Audit, tmp_path: Path) -> None:
    call = (EXAMPLE, *PLAIN, "--replicates", "0")
    assert audit(*call).code == 0
    card = tmp_path / "audit" / "model_card.md"
    card.write_text(card.read_text().replace("**TO FILL IN**", "we know"))
    assert "Model card:" not in audit(*call, "--redact", "5").out
    assert card.read_text().count("we know") > 5
    card.write_text("Mine.")
    said = " ".join(audit(*call).out.split())
    assert "Model card: audit/model_card.new.md" in said
    assert card.read_text() == "Mine."


@pytest.mark.parametrize(("encoding", "tick"), [("ascii", "OK"), ("cp1252", "OK"), ("utf-8", "✓")])
def test_any_encoding_of_the_terminal_will_do(
    encoding: str, tick: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    arguments = (EXAMPLE, *PLAIN, "--replicates", "0", "--fail-on", "accuracy_difference > 0.9")
    monkeypatch.setattr(sys, "argv", ["fairfed", "audit", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stdout.flush()
    assert ended.value.code == 0
    shown = raw.getvalue().decode(encoding)
    assert f"{tick} held" in shown
    assert "?" not in shown


def test_a_script_of_the_user_is_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "evaluation.py").write_text("raise SystemExit('of the user')")
    path = str(Path(__file__).parents[2])
    found = subprocess.run(
        [sys.executable, "-m", "fairfed", "audit", "none.csv", "--truth", "y"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert found.returncode == 2
    assert "none.csv: no such file" in found.stderr


def test_runs_are_audited_together_but_not_with_files(audit: Audit, tmp_path: Path) -> None:
    for name in ("a/run", "b/run"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "federation.json").write_text("{}")
    mixed = audit("a/run", EXAMPLE)
    assert mixed.code == 2
    assert f"a/run is a run and {EXAMPLE} is none" in " ".join(mixed.err.split())
    named = audit("a/run", "b/run", "--out", "both")
    assert named.code == 2
    assert "several of these runs have one name, and both would keep the last" in named.err
    assert "leave out what says" in audit("a/run", "b/run", "--truth", "y").err
