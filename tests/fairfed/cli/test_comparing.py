"""`fairfed compare` and `fairfed report --watch`."""

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from evaluation import InputError
from fairfed.cli.app import app
from fairfed.cli.comparing import compare_here
from fairfed.cli.reporting import watch_here
from tests.evaluation.fixtures import ARMS, build_run


def build(folder: Path, seed: int) -> Path:
    # One group: no gap has to be drawn a thousand times at every look.
    path = folder / f"r{seed}"
    return build_run(path, seed=seed, rounds=2, clients=3, arms=ARMS[:2], groups=("all",))


def test_compare_prints_tables_and_writes_files(tmp_path: Path) -> None:
    runs = [build(tmp_path, seed) for seed in (1, 2)]
    out = StringIO()
    compare_here(runs, tmp_path / "out", Console(file=out, width=100))
    text = out.getvalue()
    assert "Difference from FedAvg" in text
    assert "2 seeds" in text
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "comparison.html", "comparison.json", "comparison.md",
    }  # fmt: skip


def test_compare_needs_a_run(tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["compare"]).exit_code == 2
    missing = runner.invoke(app, ["compare", str(tmp_path / "none")])
    assert isinstance(missing.exception, InputError)


def test_watch_follows_a_run_to_its_end(tmp_path: Path) -> None:
    """Each wait lets one more round end; the last page does not load itself."""
    path = build(tmp_path, 1)
    log = path / "rounds.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text(lines[0])
    pages, out = [], StringIO()

    def wait(seconds: float) -> None:
        assert seconds == 9
        pages.append((path / "report.html").read_text("utf-8"))
        done = len(log.read_text().splitlines())
        log.write_text("".join(lines[: done + 1]))

    report = watch_here(path, 9, Console(file=out, width=200), wait)
    assert len(pages) == len(lines) - 1
    assert all('content="9"' in page for page in pages)
    assert "http-equiv" not in report.read_text("utf-8")
    shown = [line for line in out.getvalue().splitlines() if line.startswith("FedAvg")]
    assert shown == [
        "FedAvg 1/2, FairFed 0/2", "FedAvg 2/2, FairFed 0/2",
        "FedAvg 2/2, FairFed 1/2", "FedAvg 2/2, FairFed 2/2",
    ]  # fmt: skip
    arms = json.loads((path / "report.json").read_text("utf-8"))["arms"]
    assert [arm["rounds"] for arm in arms] == [2, 2]


def test_watch_writes_nothing_where_nothing_happened_and_stops_on_ctrl_c(tmp_path: Path) -> None:
    path = build(tmp_path, 1)
    log = path / "rounds.jsonl"
    log.write_text(log.read_text().splitlines(keepends=True)[0])
    times = []

    def wait(seconds: float) -> None:
        times.append((path / "report.html").stat().st_mtime_ns)
        if len(times) == 3:
            raise KeyboardInterrupt

    out = StringIO()
    report = watch_here(path, 1, Console(file=out, width=200), wait)
    assert len(set(times)) == 1
    assert "Stopped watching" in out.getvalue()
    assert "http-equiv" not in report.read_text("utf-8")


def test_watch_of_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        watch_here(tmp_path / "none", 1, Console(file=StringIO()), lambda _: None)
