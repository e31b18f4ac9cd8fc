"""A run over a table comes out the same in process and as `flwr run` starts it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fairfed.config import Config
from fairfed.engines.run import run_apps
from fairfed.rounds import checkpoint
from fairfed.server import server_app
from tests.fairfed.runs import play

Tabular = Callable[..., Config]

ARMS = """arms=[{name="FedAvg"}, {name="Reweighed", rule="fairfed", debias="reweighing"},
                {name="FAIR-FATE", rule="fair-fate"}]""".replace("\n", " ")
SETTINGS = (ARMS, 'fairness.probe_source="validation"')


def _written(folder: Path) -> tuple[Any, list[dict[str, Any]], dict[str, Any]]:
    """Columns, log without timings, and the arms' last models."""
    columns = json.loads((folder / "columns.json").read_text())
    lines = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    for line in lines:
        del line["seconds"]
        for client in line["clients"]:
            del client["seconds"]
    models = {path.stem: checkpoint.load(path).arrays for path in folder.glob("checkpoints/*.npz")}
    return columns, lines, models


def _here(config: Config) -> tuple[Any, list[dict[str, Any]], dict[str, Any]]:
    play(config)
    return _written(config.run_directory)


def _assert_same(one: Any, other: Any) -> None:
    assert one[0] == other[0]
    assert set(one[2]) == set(other[2]) == {"fedavg", "reweighed", "fair-fate"}
    for arm, model in one[2].items():
        for name, array in model.items():
            assert np.abs(array - other[2][arm][name]).max() == 0.0, (arm, name)


def test_as_flwr_run_starts_it_over_the_wire(tabular: Tabular, tmp_path: Path) -> None:
    """`flwr run` gives the apps a file's path and overrides; everything travels as bytes."""
    from fairfed.client import app

    config = tabular(*SETTINGS)
    file = tmp_path / "people.toml"
    file.write_text(config.to_toml())
    started = {"config": str(file), "overrides": f"out={tmp_path}/started"}
    run_apps(server_app(), app, 3, run_config=started, wire=True)
    found, expected = _written(tmp_path / "started"), _here(config)
    _assert_same(found, expected)
    assert found[1] == expected[1]
