"""The command line as a user meets it: a process, its output, its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import typer

from fairfed.cli import main
from fairfed.cli.app import Commands, app

Command = Callable[..., tuple[int, str, str]]


def _fairfed(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fairfed", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path.cwd()), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def config_file(small_toml: str, tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(small_toml)
    return path


@pytest.fixture
def run_here(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Function that does `fairfed run` in this process, with settings: exit code, both outputs."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*settings: str) -> tuple[int, str, str]:
        replaced = [f"--set={setting}" for setting in settings]
        monkeypatch.setattr(sys, "argv", ["fairfed", "run", str(config_file), *replaced])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from fairfed.cli.app import app; from typer.main import get_command;"
        "get_command(app).get_help(__import__('click').Context(get_command(app)));"
        "print([m for m in ('torch', 'flwr', 'diffusers', 'pydantic') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert found.stdout.splitlines()[-1] == "[]"
    shown = _fairfed("--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in ("demo", "run", "report", "doctor"))


def test_no_command_offers_to_install_anything() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, Commands)
    for name in Commands.lazy:
        _, command, _ = group.resolve_command(click.Context(group), [name])
        assert command is not None
        flags = [flag for own in command.params for flag in own.opts]
        assert not [flag for flag in flags if "completion" in flag], name


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["rounds=0"], "rounds"),
        (["trian.lr=0.1"], "train"),
        (["data.source=/nowhere"], "/nowhere"),
        (["semantic.attributes=/nowhere.csv"], "/nowhere.csv"),
        (["semantic.attributes=bundled"], "class 'bag' is in no row"),
        (["generator.scheduler=magic"], "'magic' is unknown"),
        (["generator.model=/nowhere"], "/nowhere"),
        (["fairness.metric=niceness"], "unknown metric 'niceness'"),
        (["data.sensitive=['age']"], "age"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(
    run_here: Command, overrides: list[str], said: str
) -> None:
    code, _, complaint = run_here(*overrides)
    assert code == 2, complaint
    assert said in complaint
    assert "Traceback" not in complaint


def test_bad_input_ends_the_process_with_exit_code_2(config_file: Path, tmp_path: Path) -> None:
    found = _fairfed("run", str(config_file), "--set", "data.source=/nowhere", cwd=tmp_path)
    assert found.returncode == 2, found.stderr
    assert "/nowhere" in found.stderr
    assert "Traceback" not in found.stderr


def test_unreadable_image_is_named(run_here: Command, image_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in image_folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "7.png").write_bytes(b"no picture")
    code, _, complaint = run_here(f"data.source={copy}")
    assert code == 2
    assert "7.png" in complaint


def test_doctor_finds_every_package_and_every_bundled_file_sound(tmp_path: Path) -> None:
    found = _fairfed("doctor", cwd=tmp_path)
    assert found.returncode == 0, found.stdout
    assert found.stdout.count("✓") == 3
    assert "MISSING" not in found.stdout


def test_doctor_names_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fairfed.cli import doctor

    monkeypatch.setattr(doctor, "files", lambda package: tmp_path)
    (tmp_path / "bundled").mkdir()
    (tmp_path / "bundled" / "checksums.json").write_text('{"weights.bin": "00"}')
    assert not doctor.examine()
    assert "weights.bin" in capsys.readouterr().out.replace("\n", "")


def test_federation_in_which_every_client_fails_ends_with_its_first_reason(
    run_here: Command, tmp_path: Path
) -> None:
    code, _, complaint = run_here("curation.margin=100", "curation.max_tries=1", "rounds=4")
    last = complaint.splitlines()[-1]
    assert code == 1
    assert last.startswith("Error: arm 'both': no client gave a usable reply in 3 rounds in a row")
    assert "ask for less (curation.margin)" in last
    assert (tmp_path / "run" / "rounds.jsonl").read_text().count('"FedAvg"') == 4


def test_report_of_a_folder_that_is_no_run(tmp_path: Path) -> None:
    found = _fairfed("report", str(tmp_path), cwd=tmp_path)
    assert found.returncode == 2
    assert "federation.json" in found.stderr


def test_a_run_that_ends_well_has_exit_code_0(run_here: Command) -> None:
    code, shown, complaint = run_here("rounds=1", "arms=[{name='FedAvg'}]")
    assert code == 0, complaint
    assert "Report: " in shown.splitlines()[-1]
