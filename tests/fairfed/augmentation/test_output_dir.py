"""The output directory: begun, continued, refused, cleared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.augmentation.output_dir import OutputDir
from fairfed.config import Config, PipelineConfig
from semantic.errors import InputError

Configured = Callable[..., PipelineConfig]


def test_the_same_configuration_continues_and_another_is_refused(
    augmentation: Configured, tmp_path: Path
) -> None:
    OutputDir(tmp_path / "out", augmentation()).begin()
    OutputDir(tmp_path / "out", augmentation())
    with pytest.raises(InputError, match="another configuration or other data.*--fresh"):
        OutputDir(tmp_path / "out", augmentation("seed=1"))


def test_nothing_is_written_before_it_begins(augmentation: Configured, tmp_path: Path) -> None:
    OutputDir(tmp_path / "out", augmentation())
    assert not (tmp_path / "out").exists()


def test_foreign_files_are_refused_and_kept(augmentation: Configured, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for fresh in (False, True):
        with pytest.raises(InputError, match="not empty and holds no augmentation"):
            OutputDir(tmp_path, augmentation(), fresh)
    with pytest.raises(InputError, match="is a file"):
        OutputDir(tmp_path / "thesis.txt", augmentation())
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_the_directory_of_a_run_is_refused_even_afresh(
    augmentation: Configured, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(Config().to_toml())
    with pytest.raises(InputError, match="holds something else"):
        OutputDir(tmp_path, augmentation(), fresh=True)
    assert (tmp_path / "config.toml").is_file()


def test_afresh_removes_what_an_augmentation_wrote_and_nothing_else(
    augmentation: Configured, tmp_path: Path
) -> None:
    old = OutputDir(tmp_path / "out", augmentation())
    old.begin()
    old.write("plan.json", {"wanted": []})
    (old.path / "dataset").mkdir()
    (old.path / "dataset" / "x.png").write_bytes(b"x")
    (old.path / "notes.txt").write_text("mine")
    OutputDir(old.path, augmentation("seed=1"), fresh=True).begin()
    assert sorted(path.name for path in old.path.iterdir()) == ["config.toml", "notes.txt"]


def test_a_missing_file_names_the_step_that_writes_it(
    augmentation: Configured, tmp_path: Path
) -> None:
    output = OutputDir(tmp_path / "out", augmentation())
    with pytest.raises(InputError, match=r"plan\.json is missing: step 'plan' writes it"):
        output.read("plan.json", "plan")
    output.write_rows("rows.jsonl", [{"a": 1}, {"a": "×"}])
    assert output.read_rows("rows.jsonl", "curate") == [{"a": 1}, {"a": "×"}]


def test_rows_come_back_whatever_their_texts_hold(augmentation: Configured, tmp_path: Path) -> None:
    output = OutputDir(tmp_path / "out", augmentation())
    rows = [{"prompt": "a\u2028bag"}, {"prompt": "a\u0085coat"}]
    output.write_rows("rows.jsonl", rows)
    assert output.read_rows("rows.jsonl", "curate") == rows


def test_afresh_removes_nothing_before_it_begins_and_reads_nothing_old(
    augmentation: Configured, tmp_path: Path
) -> None:
    old = OutputDir(tmp_path / "out", augmentation())
    old.begin()
    old.write("generation.json", {"images": 1, "made": 1, "reused": 0})
    fresh = OutputDir(old.path, augmentation("seed=1"), fresh=True)
    assert old.has("generation.json")
    assert not fresh.has("generation.json")
    with pytest.raises(InputError, match="is missing"):
        fresh.read("generation.json", "generate")
    fresh.begin()
    assert not old.has("generation.json")
    fresh.write("generation.json", {"images": 2, "made": 2, "reused": 0})
    fresh.begin()
    assert fresh.read("generation.json", "generate")["images"] == 2


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"images": 1, "ma', "expected JSON"),
        (b"\xff\xfe", "expected text in UTF-8"),
        (b"[]", "expected an object"),
        (b"{}", "lacks images, made, reused"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(
    augmentation: Configured, tmp_path: Path, content: bytes, why: str
) -> None:
    output = OutputDir(tmp_path, augmentation())
    (tmp_path / "generation.json").write_bytes(content)
    with pytest.raises(InputError, match=rf"generation\.json is damaged \({why}.*--only generate"):
        output.read("generation.json", "generate")


def test_a_damaged_row_is_named(augmentation: Configured, tmp_path: Path) -> None:
    output = OutputDir(tmp_path, augmentation())
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a"')
    with pytest.raises(InputError, match=r"rows\.jsonl is damaged \(row 2: .*run step 'curate'"):
        output.read_rows("rows.jsonl", "curate")
