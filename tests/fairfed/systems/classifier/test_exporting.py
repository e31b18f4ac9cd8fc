"""A model comes out of a run: loaded without it, it says what the run measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import fairfed
from fairfed.config import Config
from fairfed.rounds import checkpoint
from fairfed.sites.packaged import PackagedModel, load_model
from fairfed.systems.classifier.exporting import export_run
from fairfed.systems.classifier.predicting import rows_of, write_predictions
from semantic.errors import InputError
from tests.fairfed.runs import place_of, run_of, site_of

Small = Callable[..., Config]
LOADED = """
import sys, numpy as np, fairfed
model = fairfed.load_model(sys.argv[1])
image = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
print(model(model.preprocess(image)[None])[0].tolist())
"""
IMAGE = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)


@pytest.fixture(scope="module")
def exported(finished_small: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the arm `Both`."""
    out = tmp_path_factory.mktemp("model") / "both"
    export_run(finished_small.run_directory, out, "Both")
    return out


def _last(config: Config, arm: str) -> np.ndarray:
    """Test counts of an arm's last round by group, class and prediction."""
    rows = [json.loads(x) for x in (config.run_directory / "rounds.jsonl").read_text().splitlines()]
    row = [row for row in rows if row["arm"] == arm][-1]
    return np.sum([client["test_counts"] for client in row["clients"]], axis=0)


def test_a_fresh_process_gives_the_same_logits_without_a_configuration(
    exported: Path, finished_small: Config, tmp_path: Path
) -> None:
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADED, str(exported)],
        capture_output=True, text=True, check=True, cwd=tmp_path,
        env={"PYTHONPATH": str(Path.cwd()), "PATH": ""},
    )  # fmt: skip
    arm = finished_small.arms[1]
    kept = checkpoint.load(finished_small.run_directory / "checkpoints" / "both.npz")
    model = place_of(finished_small).model_with(kept.arrays, arm).eval()
    with torch.no_grad():
        wanted = model(torch.from_numpy(IMAGE).permute(2, 0, 1)[None].float() / 255)
    assert json.loads(said.stdout) == wanted[0].tolist()


def test_predictions_of_the_test_rows_are_what_the_run_counted(
    exported: Path, finished_small: Config, tmp_path: Path
) -> None:
    model, out = load_model(exported), tmp_path / "predictions.parquet"
    assert write_predictions(model, rows_of(finished_small, model, True, "all"), out) == 24
    found = pyarrow.parquet.read_table(out).to_pydict()
    classes, groups = list(model.classes), list(model.study.labels.groups)
    counted = np.zeros((len(groups), len(classes), len(classes)), int)
    for group, truth, said in zip(found["sex"], found["label"], found["prediction"], strict=True):
        counted[groups.index(group), classes.index(truth), classes.index(said)] += 1
    assert np.array_equal(counted, _last(finished_small, "Both"))
    assert set(found["client"]) == {"a", "b", "c"}
    scores = np.array([found[f"score: {name}"] for name in classes])
    assert scores.sum(0) == pytest.approx(1)


def test_images_without_labels_are_predicted_by_file(exported: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "new", tmp_path / "new.csv"
    folder.mkdir()
    for name, size in (("b.png", (20, 30)), ("a.jpg", (16, 16))):
        Image.new("RGB", size, "red").save(folder / name)
    model = load_model(exported)
    config = Config.model_validate({"data": {"source": str(folder), "sensitive": ()}})
    assert write_predictions(model, rows_of(config, model, False, "all"), out) == 2
    found = pyarrow.csv.read_csv(out).to_pydict()
    assert found["file"] == ["a.jpg", "b.png"]
    assert "label" not in found
    (folder / "c.png").write_text("no image")
    with pytest.raises(InputError, match=r"c\.png: not a readable image"):
        write_predictions(model, rows_of(config, model, False, "all"), tmp_path / "other.csv")
    assert not (tmp_path / "other.csv").exists()


def test_images_of_any_mode_are_brought_to_what_the_model_takes(exported: Path) -> None:
    model, grey = load_model(exported), np.linspace(0, 4000, 256).reshape(16, 16)
    deep = Image.fromarray(grey.astype(np.uint16))
    for image in (IMAGE, Image.fromarray(IMAGE).convert("P"), Image.new("L", (40, 9)), deep):
        assert model.preprocess(image).shape == (3, 16, 16)
    assert model.preprocess(deep).max() > 0.9
    assert model.preprocess(deep).min() == 0


def test_the_card_has_what_was_measured_and_the_file_no_path(
    exported: Path, finished_small: Config
) -> None:
    card = (exported / "README.md").read_text()
    assert "library_name: fairfed" in card
    assert "equalized odds difference" in card
    assert "Measured on 24 test rows" in card
    about = (exported / "model.json").read_text()
    for path in (finished_small.data.source, finished_small.out, finished_small.synthesis.store):
        assert str(path) not in about
    assert json.loads(about)["round"] == 2


def test_every_kind_of_model_comes_out(small: Small, tmp_path: Path) -> None:
    arms = 'arms=[{name="One"}, {name="Own", personal=0.1}, {name="CLIP", system="zero-shot"}]'
    config = small("rounds=1", "model=clip-head", arms, "semantic.allow_unknown=true")
    run = run_of(config)
    export_run(run, tmp_path / "head", "one")
    model = fairfed.load_model(tmp_path / "head")
    assert isinstance(model, PackagedModel)
    site = site_of(config, 0)
    images = site.images.images[:4]
    with torch.no_grad():
        logits = model(torch.stack([model.preprocess(image) for image in images]))
        network = model.network(site.place.encoder.embed_images(images))
    assert torch.allclose(logits, network, atol=1e-5)
    about = json.loads((tmp_path / "head" / "model.json").read_text())
    about["study"]["fingerprints"]["encoder"] = "0" * 64
    (tmp_path / "head" / "model.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="has other weights here"):
        load_model(tmp_path / "head")
    for arm, why in (("Own", "has a model of its own"), ("CLIP", "trains nothing")):
        with pytest.raises(InputError, match=why):
            export_run(run, tmp_path / "none", arm)
    assert not (tmp_path / "none").exists()


def test_what_is_no_model_is_refused(
    exported: Path, finished_small: Config, tmp_path: Path
) -> None:
    run = finished_small.run_directory
    with pytest.raises(InputError, match="several arms: choose one with --arm: 'FedAvg', 'Both'"):
        export_run(run, tmp_path / "x")
    with pytest.raises(InputError, match="has no arm 'None'"):
        export_run(run, tmp_path / "x", "None")
    with pytest.raises(InputError, match="no run directory"):
        export_run(tmp_path, tmp_path / "x")
    with pytest.raises(InputError, match="no model that 'fairfed export' wrote"):
        load_model(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.json").write_text((exported / "model.json").read_text())
    save_file({"weight": torch.zeros(2)}, other / "model.safetensors")
    with pytest.raises(InputError, match=r"is of another network than model\.json"):
        load_model(other)
    about = json.loads((exported / "model.json").read_text())
    about["study"]["model"] = "somebody.nets:make"
    (other / "model.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="code of its own, which would run here"):
        load_model(other)
    model = load_model(exported)
    with pytest.raises(InputError, match=r"are written as \.parquet or \.csv"):
        write_predictions(model, rows_of(finished_small, model, True, "all"), tmp_path / "x.txt")
