"""Whole runs of the real apps on a small federation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation import read_run
from fairfed.cli.running import run_here
from fairfed.config import Arm, Config
from fairfed.rounds import checkpoint
from fairfed.server import LogWatcher, checked, run
from semantic.errors import InputError
from tests.fairfed.runs import logged, play

Small = Callable[..., Config]


def _run(config: Config, **options: Any) -> Config:
    play(config, **options)
    return config


def test_same_seed_gives_the_same_run_whatever_the_workers_and_the_wire(
    small: Small, finished_small: Config, tmp_path: Path
) -> None:
    one = finished_small  # by one worker, in process
    two = _run(small(f"out={tmp_path}/two"), workers=3, wire=True)
    assert len(logged(one)) == 6
    assert logged(one) == logged(two)
    other = _run(small(f"out={tmp_path}/other", "seed=1"), workers=1)
    assert logged(one) != logged(other)


def test_a_run_from_python_checks_first_and_writes_a_report_if_wanted(
    small: Small, tmp_path: Path
) -> None:
    config = small("rounds=1", f"out={tmp_path}/python")
    folder = run(config, report=False)
    assert len(logged(config)) == 3
    assert not (folder / "report.html").exists()
    assert run(config) == folder
    assert (folder / "report.html").is_file()
    wrong = small("semantic.attributes=bundled", f"out={tmp_path}/wrong")
    with pytest.raises(InputError, match="class 'bag'"):
        run(wrong)
    assert not wrong.run_directory.exists()


def test_run_directory_holds_what_the_report_needs(finished_small: Config) -> None:
    folder = finished_small.run_directory
    federation = json.loads((folder / "federation.json").read_text())
    assert federation["classes"] == ["bag", "coat", "dress"]
    assert federation["groups"] == ["f", "m"]
    train = np.array(federation["splits"]["main"]["train"])
    assert train.shape == (3, 3, 2)
    assert (train.sum(2) == 0).sum() == 3
    synthetic = json.loads((folder / "synthetic" / "clients.json").read_text())
    requested = np.array([client["requested"] for client in synthetic["clients"]])
    assert np.array_equal(requested.sum(2) == 8, train.sum(2) == 0)
    assert (requested.sum(2)[train.sum(2) > 0] == 4).all()
    assert (folder / "report.html").stat().st_size > 10_000
    gallery = json.loads((folder / "synthetic" / "gallery.json").read_text())
    assert len(gallery["cells"]) == 6
    assert all((folder / file).is_file() for cell in gallery["cells"] for file in cell["real"])


def test_gallery_shows_a_clients_own_images_where_none_are_shared(small: Small) -> None:
    config = _run(small("synthesis.share=false"))
    gallery = json.loads((config.run_directory / "synthetic" / "gallery.json").read_text())
    assert all(len(cell["synthetic"]) == 4 for cell in gallery["cells"])


def test_nothing_is_synthesised_nor_compared_for_people_of_unknown_group(
    small: Small, image_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    shutil.copytree(image_folder, folder)
    rows = (folder / "metadata.csv").read_text().splitlines()
    blank = [row.replace(",f,", ",,") if i % 3 == 0 else row for i, row in enumerate(rows)]
    (folder / "metadata.csv").write_text("\n".join(blank) + "\n")
    arms = 'arms=[{name="Loop", rule="fairfed", augment=true, replan=1}]'
    config = _run(small(f"data.source={folder}", "synthesis.cell_target=9", arms))
    run = read_run(config.run_directory)
    assert (run.groups, run.unknown, run.clients) == (
        ("f", "m", "missing"), ("missing",), ("a", "b", "c"),
    )  # fmt: skip
    assert run.splits["main"].train[:, :, 2].any()
    assert run.synthesis is not None
    assert all(not own.requested[:, 2].any() for own in run.synthesis.clients)
    assert any(own.requested[:, :2].any() for own in run.synthesis.clients)
    plan = run.history["Loop"][0].loop
    assert plan is not None
    assert plan.asked[:, :2].any()
    assert not plan.asked[:, 2].any()
    assert {cell.group for cell in run.gallery} <= {"f", "m"}


def test_synthetic_images_are_counted_apart_and_do_not_weigh(finished_small: Config) -> None:
    rows = logged(finished_small)
    augmented = [row for row in rows if row["arm"] == "Both"]
    assert all(c["n_real"] == 24 and c["n_synthetic"] == 16 for c in augmented[0]["clients"])
    plain = [row for row in rows if row["arm"] == "FedAvg"]
    assert all(c["n_synthetic"] == 0 for c in plain[0]["clients"])
    assert [c["weight"] for c in plain[0]["clients"]] == pytest.approx([1 / 3] * 3)


class _Interrupt(LogWatcher):
    """Ctrl-C after the second round of the second arm was logged."""

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        if arm.name == "Both" and row["round"] == 2:
            raise KeyboardInterrupt


def test_interrupted_run_continues_to_the_same_end(
    small: Small, finished_small: Config, tmp_path: Path
) -> None:
    whole = finished_small
    config = small(f"out={tmp_path}/cut")
    with pytest.raises(KeyboardInterrupt):
        play(config, _Interrupt())
    assert len(logged(config)) == 4
    log = config.run_directory / "rounds.jsonl"
    with log.open("a") as handle:
        handle.write('{"arm": "Both", "rou')
    _run(config)
    assert logged(config) == logged(whole)
    ends = [checkpoint.load(c.run_directory / "checkpoints" / "both.npz") for c in (config, whole)]
    assert all(np.array_equal(ends[0].arrays[k], ends[1].arrays[k]) for k in ends[0].arrays)


def test_finished_run_is_neither_trained_nor_synthesised_again(finished_small: Config) -> None:
    config = finished_small
    files = [config.run_directory / name for name in ("rounds.jsonl", "synthetic/clients.json")]
    before = [file.read_bytes() for file in files]
    _run(config)
    assert [file.read_bytes() for file in files] == before


def test_directory_of_another_run_is_refused_and_kept(small: Small, tmp_path: Path) -> None:
    config = _run(small("arms=[{name='FedAvg'}]"))
    with pytest.raises(InputError, match="another configuration"):
        _run(small("rounds=3", "arms=[{name='FedAvg'}]"))
    assert len(logged(config)) == 2
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose")
    with pytest.raises(InputError, match="is not empty and holds no run"):
        _run(small(f"out={tmp_path}/mine"))
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_without_a_sensitive_feature_steering_falls_back_to_accuracy(small: Small) -> None:
    config = _run(small("data.sensitive=[]", "arms=[{name='Steered', rule='fairfed'}]"))
    clients = logged(config)[0]["clients"]
    federation = json.loads((config.run_directory / "federation.json").read_text())
    assert federation["groups"] == ["all"]
    assert all(np.isfinite(client["signal"]) for client in clients)
    assert sum(client["weight"] for client in clients) == pytest.approx(1)


def test_class_that_no_table_knows_is_refused_before_training(small: Small) -> None:
    with pytest.raises(InputError, match="class 'bag' is in no row of the attribute table"):
        checked(small("semantic.attributes=bundled"))


def test_clip_head_trains_on_embeddings(small: Small) -> None:
    settings = ("model=clip-head", "data.image_size=32", "generator.model=bundled")
    config = _run(small(*settings, "train.lr=1.0", "train.epochs=5", "rounds=4"))
    rounds = [row["clients"] for row in logged(config) if row["arm"] == "IID"]
    losses = [np.mean([client["test_loss"] for client in clients]) for clients in rounds]
    assert losses[-1] < 0.9 * np.log(3)
    state = checkpoint.load(config.run_directory / "checkpoints" / "iid.npz").arrays
    assert {name: value.shape for name, value in state.items()} == {"weight": (3, 128)}


def test_terminal_run_prints_the_table_and_names_the_report_last(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small()
    run_here(config)
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[-1] == f"Report: {config.run_directory / 'report.html'}"
    assert any("Both" in line for line in lines)
