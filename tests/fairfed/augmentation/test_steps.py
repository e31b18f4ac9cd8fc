"""The four steps over a random pipeline: what they write, alone, interrupted and repeated."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fairfed.augmentation.output_dir import OutputDir
from fairfed.augmentation.pipeline import Pipeline
from fairfed.augmentation.preview import contact_sheet, preview_cells, write_preview
from fairfed.augmentation.steps import STEPS, chosen_steps, run_steps
from fairfed.config import PipelineConfig
from semantic.errors import InputError
from tests.fairfed.augmentation.silent import Silent

Configured = Callable[..., PipelineConfig]


def _run(config: PipelineConfig, out: Path, steps: tuple[str, ...] = STEPS) -> Path:
    with Pipeline(config, OutputDir(out, config), Silent()) as pipeline:
        run_steps(pipeline, steps)
    return out


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _dataset(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((out / "dataset").rglob("*"))
        if path.is_file()
    }


def test_steps_are_chosen_by_name() -> None:
    assert chosen_steps(None, None) == STEPS
    assert chosen_steps("curate", None) == ("plan", "generate", "curate")
    assert chosen_steps(None, "curate") == ("curate",)
    with pytest.raises(InputError, match=r"--until 'cook' is no step; choose one of plan, "):
        chosen_steps("cook", None)
    with pytest.raises(InputError, match="exclude each other"):
        chosen_steps("plan", "plan")


def test_the_whole_way_and_once_more(augmentation: Configured, tmp_path: Path) -> None:
    config = augmentation()
    out = _run(config, tmp_path / "out")
    plan, generation = _read(out / "plan.json"), _read(out / "generation.json")
    filled = [(c["class"], c["group"], c["wanted"]) for c in plan["cells"] if c["wanted"]]
    assert filled == [("hat", "f", 3), ("hat", "m", 3)]
    assert plan["cost"]["images"] == 6
    assert plan["cost"]["seconds"] > 0
    # The plan has tried and timed images that are wanted anyway.
    assert (generation["images"], generation["made"], generation["reused"]) == (6, 0, 6)
    assert plan["cost"]["made_to_time"] == 6
    tried = plan["trial"]["classes"]
    assert tried == [{"name": "hat", "n": 6, "read": tried[0]["read"], "recognised": None,
                      "chance": 0.25, "verdict": "not tried"}]  # fmt: skip
    curation = _read(out / "curation.json")
    assert (curation["requested"], curation["accepted"], curation["short"]) == (6, 6, 0)
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert {row["class_name"] for row in rows} == {"hat"}
    assert not any("source" in row for row in rows)
    quality = _read(out / "quality.json")
    assert all(measure["reason"] for measure in quality["cells"]["hat × f"].values())
    first = _dataset(out)
    assert sum("synthetic" in name for name in first) == 6
    _run(config, out)
    assert _dataset(out) == first
    again = _read(out / "plan.json")["cost"]
    assert (again["made_to_time"], again["in_store"]) == (0, 6)
    assert _dataset(_run(config, tmp_path / "other")) == first


def test_steps_alone_need_the_ones_before(augmentation: Configured, tmp_path: Path) -> None:
    config, out = augmentation(), tmp_path / "out"
    with pytest.raises(InputError, match="step 'plan' writes it"):
        _run(config, out, ("generate",))
    _run(config, out, ("plan",))
    assert sorted(path.name for path in out.iterdir()) == ["config.toml", "plan.json"]
    with pytest.raises(InputError, match="step 'generate' writes it"):
        _run(config, out, ("curate",))
    with pytest.raises(InputError, match="step 'curate' writes it"):
        _run(config, out, ("export",))
    for step in STEPS[1:]:
        _run(config, out, (step,))
    assert len(_dataset(out)) == 6 + 96 + 1


def test_cells_that_cannot_be_filled_are_reported_by_reason(
    augmentation: Configured, tmp_path: Path
) -> None:
    config = augmentation('curation.checks=["margin"]', "curation.margin=100")
    out = _run(config, tmp_path / "out")
    curation = _read(out / "curation.json")
    assert (curation["accepted"], curation["short"]) == (0, 6)
    assert curation["rejected"] == {"margin": 12}
    assert all(cell["short"] == 3 for cell in curation["cells"])
    assert _read(out / "quality.json")["cells"]
    assert (out / "manifest.jsonl").read_text() == ""


def test_nothing_to_fill_makes_nothing(augmentation: Configured, tmp_path: Path) -> None:
    out = _run(augmentation("synthesis.classes=[]"), tmp_path / "out")
    assert _read(out / "plan.json")["cost"]["images"] == 0
    assert len(_dataset(out)) == 96 + 1
    assert not list((tmp_path / "store").glob("*/images/*/*.png"))


def test_changed_data_is_noticed(
    augmentation: Configured, image_folder: Path, tmp_path: Path
) -> None:
    import shutil

    folder = Path(shutil.copytree(image_folder, tmp_path / "folder"))
    config = augmentation(f"data.source={folder}")
    _run(config, tmp_path / "out", ("plan",))
    shutil.copy(folder / "1.png", folder / "0.png")
    before = (tmp_path / "out" / "plan.json").read_bytes()
    for steps in (("generate",), STEPS):
        with pytest.raises(InputError, match="have changed since the plan was made"):
            _run(config, tmp_path / "out", steps)
    assert (tmp_path / "out" / "plan.json").read_bytes() == before
    with Pipeline(config, OutputDir(tmp_path / "out", config, fresh=True), Silent()) as pipeline:
        run_steps(pipeline, ("plan",))
    assert (tmp_path / "out" / "plan.json").read_bytes() != before


KILLED = """
import os, signal, sys
from pathlib import Path
from fairfed.augmentation.pipeline import Pipeline
from tests.fairfed.augmentation.silent import Silent
from fairfed.augmentation.steps import run_steps
from fairfed.augmentation.output_dir import OutputDir
from fairfed.config import PipelineConfig, load_model
from generators.store import ImageStore

put, left = ImageStore.put, [5]
def dying(self, *args, **kwargs):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return put(self, *args, **kwargs)
ImageStore.put = dying
config = load_model(PipelineConfig, sys.argv[1])
with Pipeline(config, OutputDir(Path(sys.argv[2]), config), Silent()) as pipeline:
    run_steps(pipeline, ("plan", "generate", "curate", "export"))
"""


def test_after_kill_9_nothing_is_lost_and_nothing_made_twice(
    augment_toml: str, augmentation: Configured, tmp_path: Path
) -> None:
    (tmp_path / "aug.toml").write_text(augment_toml)
    out = tmp_path / "out"
    died = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path / "aug.toml"), str(out)],
        env={**os.environ, "PYTHONPATH": str(Path.cwd())}, timeout=120, check=False,
    )  # fmt: skip
    assert died.returncode == -signal.SIGKILL
    assert not (out / "generation.json").exists()
    images = sorted((tmp_path / "store").glob("*/images/*/*.png"))
    assert len(images) == 5
    before = {path: path.stat().st_mtime_ns for path in images}
    config = augmentation()
    _run(config, out)
    assert {path: path.stat().st_mtime_ns for path in images} == before
    fresh = augmentation(f"store={tmp_path}/second")
    assert _dataset(_run(fresh, tmp_path / "second-out")) == _dataset(out)


def test_the_preview_shows_a_few_cells_and_its_images_are_those_of_the_plan(
    augmentation: Configured, tmp_path: Path
) -> None:
    config = augmentation()
    with Pipeline(config, OutputDir(tmp_path / "out", config), Silent()) as pipeline:
        assert write_preview(pipeline) == ["hat × f", "hat × m"]
    with Image.open(tmp_path / "out" / "preview.png") as sheet:
        assert sheet.size[0] > 4 * 96
        assert len(set(sheet.convert("L").tobytes())) > 10
    out = _run(config, tmp_path / "out", ("plan",))
    assert _read(out / "plan.json")["cost"]["in_store"] == 6


def test_the_preview_takes_the_emptiest_cells_and_classes_in_turn() -> None:
    real, wanted = np.array([[0, 5], [3, 1], [9, 9]]), np.array([[4, 4], [4, 4], [0, 0]])
    assert preview_cells(real, wanted) == [(0, 0), (1, 1), (1, 0), (0, 1)]
    assert preview_cells(real, np.zeros_like(wanted))[0] == (1, 1)
    sheet = contact_sheet([("hat × f", [np.zeros((4, 4, 3), np.uint8)], [])])
    assert sheet.shape[2] == 3
    assert (sheet == 0).any()


def test_a_preview_of_complete_data_leaves_out_groups_that_nobody_could_name(
    augmentation: Configured, image_folder: Path, tmp_path: Path
) -> None:
    lines = (image_folder / "metadata.csv").read_text().splitlines()
    rows = [f"{image_folder}/{line}" for line in lines[1:]]
    rows[0] = rows[0].replace(",f,", ",,")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.csv").write_text("\n".join([lines[0], *rows]))
    config = augmentation(f"data.source={tmp_path}/data", "synthesis.classes=[]")
    with Pipeline(config, OutputDir(tmp_path / "out", config), Silent()) as pipeline:
        assert "missing" in pipeline.source.table.group_names
        shown = write_preview(pipeline)
    assert sorted(shown) == [f"{c} × {g}" for c in ("bag", "coat", "dress") for g in ("f", "m")]


def test_what_a_missing_class_is_like_is_said_and_composed(
    augmentation: Configured, tmp_path: Path
) -> None:
    table = tmp_path / "attributes.csv"
    table.write_text(
        "class,prompt,soft,red,round\nbag,bag,0,1,0\ncoat,coat,1,0,0\ndress,dress,1,1,0\n"
        "hat,hat,1,0,1\n"
    )
    config = augmentation(f"semantic.attributes={table}", "conditioning.recall=true")
    out = _run(config, tmp_path / "out", ("plan", "generate", "curate"))
    plan = _read(out / "plan.json")
    assert plan["composable"]["like"][0]["like"].startswith("A hat is like a ")
    assert plan["composable"]["classes"][0]["composable"] is False
    assert "'round' occurs in no seen class" in plan["composable"]["classes"][0]["why"]
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert rows[0]["prompt"] != "a photo of a f hat"
    assert any("round" in prompt for prompt, _ in rows[0]["terms"])


def test_a_generator_that_shows_a_group_rarely_gets_more_tries(
    augmentation: Configured, tmp_path: Path
) -> None:
    from fairfed.augmentation.audit import MOST_EXTRA
    from fairfed.augmentation.audit import audit as write_audit

    config = augmentation("synthesis.correct_bias=true", "synthesis.audit_images=4")
    out = _run(config, tmp_path / "out", ("plan",))
    tries, audit = _read(out / "plan.json")["max_tries"], _read(out / "generator-audit.json")
    for row, found in zip(tries, audit["classes"], strict=True):
        best = found["corrected"] or found["shares"]
        assert max(row) <= 2 * MOST_EXTRA
        assert row[int(np.argmax(best))] == 2.0
        assert (max(best) > 0.5) == (max(row) > 2.0)
    # The images are in the store: an audit on its own makes none of them again.
    (out / "generator-audit.json").unlink()
    with Pipeline(config, OutputDir(out, config), Silent()) as pipeline:
        write_audit(pipeline)
        assert pipeline.generator.seconds_per_image is None
    assert _read(out / "generator-audit.json") == audit
