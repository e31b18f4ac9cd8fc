"""What a user is told when paths, devices or kinds of runs do not fit: one message, exit code 2."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.cli import app as commands

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


@pytest.mark.parametrize("command", ["report", "compare", "audit"])
@pytest.mark.parametrize("section", ["peers", "zsl", "specialise", "shared"])
def test_a_run_that_compares_no_arms_is_said_to_have_results_of_its_own(
    fairfed: Fairfed, tmp_path: Path, command: str, section: str
) -> None:
    (tmp_path / "config.toml").write_text(f"rounds = 2\n[{section}]\n")
    code, said = fairfed(command, tmp_path)
    assert code == 2
    assert f"(section [{section}]); when it has ended, results.md has its results" in said


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
