"""Packaged configurations: they load, merge as documented, and errors say what there is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fairfed.cli import main
from fairfed.config import Config, load_config
from fairfed.config.load import merged
from fairfed.presets import load_preset, preset_names
from semantic.errors import InputError


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_a_configuration_that_says_what_it_is(name: str) -> None:
    preset = load_preset(name)
    assert preset.title
    assert preset.source
    assert preset.text.startswith("# ")
    assert isinstance(load_config(None, preset=name), Config)


def test_a_file_changes_a_preset_and_a_setting_changes_both(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("rounds = 3\n[partition]\nclients = 4\n[[arms]]\nname = 'Mine'\n")
    config = load_config(path, ["partition.clients=5"], preset="baselines")
    assert (config.rounds, config.partition.clients) == (3, 5)
    assert config.partition.options == {"num_classes_per_partition": 2}
    assert [arm.name for arm in config.arms] == ["Mine"]


def test_options_go_with_the_name_that_they_belong_to() -> None:
    base = {"partition": {"name": "pathological", "clients": 3, "options": {"n": 2}}}
    assert merged(base, {"partition": {"name": "iid"}}) == {
        "partition": {"name": "iid", "clients": 3}
    }
    other = {"partition": {"name": "dirichlet", "options": {"alpha": 0.1}}}
    assert merged(base, other)["partition"]["options"] == {"alpha": 0.1}
    assert merged(base, {"partition": {"clients": 9}})["partition"]["options"] == {"n": 2}


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no preset 'baseline'; did you mean 'baselines'.*scaff"):
        load_config(None, preset="baseline")


def test_a_mistake_in_the_file_names_it_and_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("rounds = 0")
    with pytest.raises(InputError, match=r"mine.toml on preset 'scaffold': rounds: .*got 0"):
        load_config(path, preset="scaffold")


def _said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "argv", ["fairfed", *words])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr()
    return shown.out + shown.err


def test_the_list_shows_every_name_and_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = _said(capsys, monkeypatch, "presets")
    assert all(name in said for name in preset_names())
    assert "arXiv 1910.06378" in said


def test_run_needs_a_file_or_a_preset(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--preset NAME" in _said(capsys, monkeypatch, "run")
