"""What a user is told when paths, devices or kinds of runs do not fit: one message, exit code 2."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.cli import app as commands
from tests.evaluation.systems import clients, line, results, system_run

Rows = dict[str, tuple[float | None, float | None]]
Fairfed = Callable[..., tuple[int, str]]


def _raising(error: Exception) -> Callable[[], None]:
    def app() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), "/root/x: cannot be"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", b"a/b"), "a/b: cannot be"),
        (OSError(errno.ENOSPC, "No space left on device"), "(No space left on device)"),
    ],
)
def test_an_error_of_the_file_system_is_one_message(
    fairfed: Fairfed, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    monkeypatch.setattr(commands, "app", _raising(error))
    code, shown = fairfed()
    assert code == 2
    assert shown.startswith("Error: ")
    assert said in shown


def test_an_error_that_is_no_files_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "app", _raising(ConnectionError("reset")))
    with pytest.raises(ConnectionError):
        commands.main()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="no directory that takes no files")
@pytest.mark.parametrize("out", ["/proc/nope", "{file}", "{file}/x"])
def test_a_run_directory_that_cannot_be_is_named(
    fairfed: Fairfed, small_toml: str, tmp_path: Path, out: str
) -> None:
    path = tmp_path / "small.toml"
    path.write_text(small_toml)
    out = out.format(file=path)
    code, said = fairfed("run", path, "--set", f"out={out}")
    assert code == 2
    assert str(out).removesuffix("/x") in said.replace("\n", "")


@pytest.mark.parametrize("command", ["compare", "audit"])
@pytest.mark.parametrize("section", ["peers", "zsl", "specialise", "shared", "heads"])
def test_a_run_of_a_system_under_way_has_no_results_yet(
    fairfed: Fairfed, tmp_path: Path, command: str, section: str
) -> None:
    (tmp_path / "config.toml").write_text(f"rounds = 2\n[{section}]\n")
    code, said = fairfed(command, tmp_path)
    assert code == 2
    assert "has no results yet; let `fairfed run` end" in said
    code, said = fairfed("report", tmp_path)
    assert code == 0
    assert "under way" in (tmp_path / "report.html").read_text("utf-8")


def test_runs_of_systems_in_the_terminal(fairfed: Fairfed, tmp_path: Path) -> None:
    rows: Rows = {"A": (0.5, 1.0), "B": (0.6, 2.0)}
    lines = [line("A", 1)]
    runs = [
        system_run(tmp_path / f"{n}", results(rows, seed=n, clients=clients()), lines, seed=n)
        for n in (0, 1)
    ]
    out = tmp_path / "out"
    code, said = fairfed("compare", *runs, "--out", out)
    assert code == 0
    assert "50.0 ± 0.0" in said
    assert (out / "comparison.html").is_file()
    code, said = fairfed("report", runs[0])
    assert code == 0
    assert "| A | 50.0 |" in (runs[0] / "results.md").read_text()
    assert "Report: " in said.splitlines()[-1]
    code, said = fairfed("audit", runs[0])
    assert code == 0
    assert "south" in said
    assert (runs[0] / "audit" / "report.html").is_file()


def test_what_an_audit_of_clients_has_no_use_for_is_refused(
    fairfed: Fairfed, tmp_path: Path
) -> None:
    run = system_run(tmp_path / "run", results({"A": (0.5, 1.0)}, clients=clients()), [])
    code, said = fairfed("audit", run, "--fail-on", "accuracy_difference > 0.1")
    assert code == 2
    assert "no counts by group, so that fail_on cannot act" in said.replace("\n", " ")
    judged = results({"A": (0.5, 1.0)}, system="zsl", unaudited="the server judges; see results.md")
    other = system_run(tmp_path / "zsl", judged, [], system="zsl")
    code, said = fairfed("audit", other)
    assert code == 2
    assert "nothing to audit in a run of [zsl]: the server judges" in said.replace("\n", " ")


def test_a_junit_file_that_is_a_directory_is_refused_first(
    fairfed: Fairfed, tmp_path: Path
) -> None:
    code, said = fairfed("audit", "nowhere.csv", "--junit", tmp_path)
    assert code == 2
    assert "is a directory; give the path of a file" in said.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_here_is_named_before_anything_is_written(
    fairfed: Fairfed, small_toml: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    path = tmp_path / "small.toml"
    path.write_text(small_toml)
    code, said = fairfed("run", path, "--set", "generator.device=cuda")
    assert code == 2
    assert "generator.device is 'cuda', and torch finds no CUDA device here" in said


def test_an_unknown_encoder_is_named_before_the_data_are_read(
    fairfed: Fairfed, tmp_path: Path
) -> None:
    path = tmp_path / "none.toml"
    path.write_text('model = "clip-head"\n[data]\nsource = "/nowhere"\n')
    code, said = fairfed("run", path, "--set", "semantic.encoder=ViT-B-23/openai")
    assert code == 2
    assert "'ViT-B-23/openai' (semantic.encoder) is not known" in said
    assert "ViT-B-32/openai" in said
    assert len(said) < 500
