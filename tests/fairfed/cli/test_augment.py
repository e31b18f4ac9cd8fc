"""`fairfed augment` as a user meets it: messages, exit codes, what is written."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fairfed.cli.app import main


@pytest.fixture
def config_file(image_folder: Path, tiny_pipeline: Path, tmp_path: Path) -> Path:
    path = tmp_path / "aug.toml"
    path.write_text(f"""
store = "{tmp_path}/store"
[data]
source = "{image_folder}"
sensitive = ["sex"]
image_size = 16
[semantic]
attributes = "names"
allow_unknown = true
[generator]
model = "{tiny_pipeline}"
steps = 1
batch_size = 8
device = "cpu"
[synthesis]
classes = ["hat"]
per_class = 4
cell_target = 0
audit_images = 2
[curation]
checks = ["corrupt"]
""")
    return path


def _augment(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the command in this process; its exit code."""
    monkeypatch.setattr(sys, "argv", ["fairfed", "augment", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_whole_way_says_what_was_made_and_where(
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert _augment(monkeypatch, "--config", config_file, "--out", out) == 0
    shown = capsys.readouterr().out
    for said in ("hat × f", "missing class", "4 images wanted", "4 of 4 accepted", "0 rejected"):
        assert said in shown
    assert shown.splitlines()[-1] == f"Dataset: {out / 'dataset'}"
    with (out / "dataset" / "metadata.csv").open(newline="") as lines:
        assert sum(row["synthetic"] == "true" for row in csv.DictReader(lines)) == 4
    assert _augment(monkeypatch, "--config", config_file, "--out", out, "--only", "curate") == 0


def test_data_of_the_command_line_and_its_settings_win(
    config_file: Path, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(image_folder, tmp_path / "1.5")
    monkeypatch.chdir(tmp_path)
    code = _augment(
        monkeypatch, "1.5", "--config", config_file, "--out", "out", "--until", "plan",
        "--set", "synthesis.per_class=2",
    )  # fmt: skip
    assert code == 0
    plan = json.loads((tmp_path / "out" / "plan.json").read_text())
    assert plan["data"]["source"] == copy.name
    assert plan["cost"]["images"] == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--until", "cook"], "--until 'cook' is no step; choose one of plan, generate, curate"),
        (["--only", "generate"], "plan.json is missing: step 'plan' writes it"),
        (["--only", "plan", "--until", "plan"], "exclude each other"),
        (["--preview", "--only", "plan"], "run no step"),
        (["--engine", "spark"], "--engine 'spark' is unknown"),
        (["--set", "semantic.attributes=bundled"], "class 'bag' is in no row"),
        (["--set", "semantic.encoder=/nowhere"], "'/nowhere' (semantic.encoder) is not known"),
        (["--set", "generator.model=/nowhere"], "is no directory, and no"),
        (["--set", "generator.scheduler=magic"], "'magic' is unknown"),
        (["--set", "data.source=/nowhere"], "no directory '/nowhere'"),
        (["--set", 'data.sensitive=["tint"]'], "data.sensitive = []"),
        (["--set", 'semantic.templates=["a photo of {noun} ' + "red " * 90 + '"]'], "tokens"),
        (["--set", 'semantic.templates=["a photo"]'], "lacks the field {noun}"),
        (["--set", "conditioning.mode=attributes"], "has no attribute of at least 0.5"),
        (["--set", "conditioning.mode=prototype"], "no prototype for hat"),
        (["--set", 'conditioning.unseen=["shoe"]'], "conditioning.unseen: 'shoe' is no class"),
        (["--set", 'curation.checks=["taste"]'], "'taste' is unknown"),
        (["--set", "synthesis.per_klass=1"], "did you mean 'per_class'?"),
    ],
)
def test_bad_input_is_one_message_exit_code_2_and_nothing_written(
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    out = tmp_path / "out"
    assert _augment(monkeypatch, "--config", config_file, "--out", out, *flags) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_the_directory_of_another_augmentation_is_kept_unless_afresh(
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["--config", config_file, "--out", tmp_path / "out", "--until", "plan"]
    assert _augment(monkeypatch, *command) == 0
    before = (tmp_path / "out" / "plan.json").read_bytes()
    assert _augment(monkeypatch, *command, "--set", "seed=1") == 2
    assert "start over with --fresh" in capsys.readouterr().err
    assert (tmp_path / "out" / "plan.json").read_bytes() == before
    assert _augment(monkeypatch, *command, "--set", "seed=1", "--fresh") == 0


@pytest.mark.parametrize(
    "flags",
    [
        ["--set", "data.source=/nowhere"],
        ["--set", "generator.model=/nowhere"],
        ["--only", "export"],
    ],
)
def test_a_mistake_afresh_leaves_what_was_there(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    command = ["--config", config_file, "--out", tmp_path / "out"]
    assert _augment(monkeypatch, *command, "--until", "plan") == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert _augment(monkeypatch, *command, "--fresh", *flags) == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_damage_between_the_steps_is_one_message_and_nothing_is_exported(
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    command = ["--config", config_file, "--out", out]
    assert _augment(monkeypatch, *command, "--until", "curate") == 0
    rows = (out / "manifest.jsonl").read_text().splitlines(keepends=True)
    for name, content, step in (
        ("plan.json", "{", "export"),
        ("plan.json", "{", "curate"),
        ("generation.json", "{}", "curate"),
        ("generation.json", "{}", "export"),
        ("curation.json", "[]", "export"),
        ("manifest.jsonl", rows[0][:20], "export"),
        ("manifest.jsonl", "".join(rows[:-1]), "export"),
    ):
        whole = (out / name).read_text()
        (out / name).write_text(content)
        capsys.readouterr()
        assert _augment(monkeypatch, *command, "--only", step) == 2
        assert f"{name} is damaged" in capsys.readouterr().err
        assert not (out / "dataset").exists()
        (out / name).write_text(whole)


def test_preview_and_audit_run_no_step(
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    flags = ["--preview", "--audit-generator", "--set", 'curation.checks=["margin"]']
    assert _augment(monkeypatch, "--config", config_file, "--out", out, *flags) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "config.toml", "generator-audit.json", "preview.png",
    ]  # fmt: skip
    audit = json.loads((out / "generator-audit.json").read_text())
    assert [row["n"] for row in audit["classes"]] == [2, 2, 2, 2]
    shown = capsys.readouterr().out
    assert "Groups that neutral prompts show" in shown
    assert "Preview:" in shown


def test_cells_that_stay_short_are_shouted(
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = ["--set", 'curation.checks=["margin"]', "--set", "curation.margin=100"]
    command = ["--config", config_file, "--out", tmp_path / "out", *flags, "--until", "curate"]
    assert _augment(monkeypatch, *command) == 1
    said = capsys.readouterr()
    assert "none of the 4 images asked for could be made" in said.err
    shown = said.out
    assert "SHORT: 2 cells could not be filled (4 images are lacking)" in shown
    assert "CLIP reads another class or group in it" in shown


def test_ctrl_c_says_how_to_go_on(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fairfed.cli.augmenting.run_steps", interrupted)
    assert _augment(monkeypatch, "--config", config_file) == 130
    assert "Start the same command again to continue" in capsys.readouterr().err


@pytest.mark.ray
def test_ray_makes_the_same_images(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(engine: str) -> list[str]:
        out = tmp_path / engine
        flags = ["--engine", engine, "--workers", "1", "--set", f"store={out}-store"]
        return ["--config", str(config_file), "--out", str(out), "--until", "curate", *flags]

    assert _augment(monkeypatch, *command("inprocess")) == 0
    # In a process of its own, which takes Ray's processes along when it ends.
    found = subprocess.run(
        [sys.executable, "-m", "fairfed", "augment", *command("ray")],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-2000:]
    manifests = [
        (tmp_path / engine / "manifest.jsonl").read_text() for engine in ("inprocess", "ray")
    ]
    assert manifests[0] == manifests[1]
    assert len(manifests[0].splitlines()) == 4
