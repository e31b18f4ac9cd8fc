"""Whose a run directory is: what `--fresh` removes and refuses, and one process at a time."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import tomli_w

from fairfed.cli.running import run_here
from fairfed.config import Config
from fairfed.rounds.run_directory import RunDirectory
from fairfed.rounds.run_lock import check_folder, clear, run_lock
from semantic.errors import InputError
from tests.fairfed.runs import logged, play

Small = Callable[..., Config]
ONE = "arms=[{name='FedAvg'}]"

HOLDING = """
import sys
from fairfed.config import load_config
from fairfed.rounds.run_lock import run_lock

with run_lock(load_config(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


def _contents(folder: Path) -> dict[str, bytes]:
    """All files of a folder but the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine")


@pytest.mark.parametrize(
    "text", ["", "[server]\nport = 80\n", 'name = "x"\nrounds = 2\nout = "."\n', "\xff no TOML ["]
)
@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_with_a_configuration_of_its_own_is_refused_and_kept(
    small: Small, tmp_path: Path, text: str, fresh: bool
) -> None:
    project = tmp_path / "project"
    _put(project, "thesis.txt", "results.md", "checkpoints/mine.npz")
    (project / "config.toml").write_bytes(text.encode("latin-1"))
    before = _contents(project)
    with pytest.raises(InputError, match=r"project is no run directory.*give another 'out'"):
        run_here(small(f"out={project}"), fresh=fresh)
    with pytest.raises(InputError, match="is no run directory"):
        clear(small(f"out={project}"))
    assert _contents(project) == before
    assert not (project / ".lock").exists()


def test_a_file_in_the_place_of_the_directory_is_refused(small: Small, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(InputError, match="taken is a file"):
        check_folder(small(f"out={tmp_path}/taken"))


def test_fresh_removes_what_the_run_wrote_and_nothing_else(small: Small) -> None:
    config = small()
    play(config)
    folder = config.run_directory
    _put(folder, "notes.txt", "synthetic/mine.txt", "plots/loss.png")
    clear(small("rounds=3"))
    kept = {"config.toml", "notes.txt", "synthetic/mine.txt", "plots/loss.png"}
    assert _contents(folder).keys() == kept
    assert not (folder / "checkpoints").exists()


def test_fresh_runs_again_beside_the_users_files(small: Small) -> None:
    config = small(ONE)
    play(config)
    _put(config.run_directory, "notes.txt")
    run_here(small(ONE, "rounds=1"), fresh=True)
    assert [row["round"] for row in logged(config)] == [1]
    assert (config.run_directory / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("wrong", ["data.source=typo", "data.sensitive=['age']"])
def test_fresh_keeps_the_run_where_the_new_one_cannot_start(small: Small, wrong: str) -> None:
    config = small(ONE)
    play(config)
    before = _contents(config.run_directory)
    with pytest.raises(InputError):
        run_here(small(ONE, wrong), fresh=True)
    assert _contents(config.run_directory) == before


def test_a_second_process_is_refused_until_the_first_has_died(small: Small, tmp_path: Path) -> None:
    config = small(ONE)
    path = tmp_path / "held.toml"
    path.write_text(config.to_toml())
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "in\n"
        with pytest.raises(InputError, match=r"run: another process is running this run; wait"):
            play(config)
        RunDirectory(config)
        with pytest.raises(InputError, match="another process"):
            clear(config)
        first.kill()
    play(config)
    assert len(logged(config)) == 2


def test_one_process_enters_a_directory_again_and_again(small: Small) -> None:
    for _ in range(2):
        with pytest.raises(KeyError), run_lock(small(ONE)):
            raise KeyError
    with run_lock(small(ONE)), pytest.raises(InputError, match="another process"):
        play(small(ONE))


def test_a_directory_of_an_earlier_version_with_the_same_settings_is_taken(
    small: Callable[..., Config], caplog: pytest.LogCaptureFixture
) -> None:
    config = small()
    config.run_directory.mkdir(parents=True)
    tree = tomllib.loads(config.to_toml())
    del tree["min_sites"]  # of which it knew nothing
    former = tomli_w.dumps(dict(reversed(tree.items())))
    (config.run_directory / "config.toml").write_text(former)
    check_folder(config)
    assert "written by an earlier version" in caplog.text
