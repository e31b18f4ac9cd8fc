"""Whole runs over a table: what is learnt, what is written, and what leaves a client."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message

from evaluation import read_run, summarise
from fairfed.config import Config
from fairfed.server import checked
from fairfed.system import simulation_of
from semantic.errors import InputError
from tests.fairfed.runs import new_process, play

Tabular = Callable[..., Config]


def _run(config: Config, **options: Any) -> list[Message]:
    checked(config)
    return play(config, **options)


def _counts(config: Config, arm: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Test counts of an arm's last round, summed over the clients."""
    lines = (config.run_directory / "rounds.jsonl").read_text().splitlines()
    last = [row for row in map(json.loads, lines) if row["arm"] == arm][-1]
    return np.sum([client["test_counts"] for client in last["clients"]], axis=0)


def test_a_run_learns_and_leaves_a_report(tabular: Tabular) -> None:
    config = tabular("rounds=6")
    _run(config, wire=True)
    folder = config.run_directory
    federation = json.loads((folder / "federation.json").read_text())
    assert federation["classes"] == ["no", "yes"]
    assert federation["groups"] == ["f", "m"]
    for arm in ("FedAvg", "FairFed"):
        counts = _counts(config, arm)
        assert counts.shape == (2, 2, 2)
        assert counts.sum() == 48
        assert counts.sum(0).trace() / 48 > 0.75
    report = (folder / "report.html").read_text()
    assert "Training rows per client and class" in report
    assert "test images" not in report
    columns = json.loads((folder / "columns.json").read_text())
    assert columns["categories"]["town"] == ["A", "B"]  # Hamlet has one row
    table = simulation_of(config).rows.table
    rows = np.flatnonzero(~table.test)
    mean, deviation = columns["moments"]["income"]
    assert mean == pytest.approx(table.features["income"].iloc[rows].mean())
    assert deviation == pytest.approx(table.features["income"].iloc[rows].std(ddof=0))


def test_a_schema_in_the_configuration_asks_no_client(tabular: Tabular) -> None:
    known = (
        'data.table.numeric=["income"]', 'data.table.categorical=["town"]',
        "data.table.moments={income=[30, 10]}", 'data.table.categories={town=["A", "B"]}',
    )  # fmt: skip
    replies = _run(tabular("rounds=1", *known))
    assert not any("numeric" in reply.content.metric_records for reply in replies)


def test_what_leaves_a_client_is_sums_of_many_rows(tabular: Tabular) -> None:
    config = tabular("rounds=1")
    asked = [r for r in _run(config) if "numeric" in r.content.metric_records]
    assert len(asked) == 3
    for reply in asked:
        numeric = dict(reply.content.metric_records["numeric"])
        assert set(numeric) == {"moments.age", "moments.income"}
        assert all(sums[0] >= 10 for sums in numeric.values())  # type: ignore[index,operator]
        named = dict(reply.content.config_records["categories"])
        assert set(named) == {"town", "sex", "race"}
        assert "Hamlet" not in named["town"]  # type: ignore[operator]


def test_a_finished_run_started_again_trains_nothing_and_keeps_its_columns(
    tabular: Tabular,
) -> None:
    config = tabular("rounds=1")
    _run(config)
    files = [config.run_directory / name for name in ("columns.json", "rounds.jsonl")]
    kept = [path.read_text() for path in files]
    again = _run(config)
    assert not any("arrays" in reply.content for reply in again)
    assert [path.read_text() for path in files] == kept


def test_a_run_is_not_continued_on_a_changed_table(
    tabular: Tabular, people_csv: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.csv"
    text = people_csv.read_text()
    own.write_text(text)
    config = tabular("rounds=1", f"data.source={own}")
    _run(config)
    own.write_text(text.replace(",yes\n", ",no\n", 3))
    new_process()
    with pytest.raises(InputError, match=r"data of this run have changed.*own\.csv"):
        _run(config)


def test_columns_of_which_nothing_can_be_said_end_the_run(tabular: Tabular, tmp_path: Path) -> None:
    few = "data.table.min_count=200"
    with pytest.raises(InputError, match="no client has 200 values of 'age'"):
        _run(tabular(few))
    named = tabular(few, 'data.table.categorical=["town"]', f"out={tmp_path}/other")
    with pytest.raises(InputError, match="no input is left, for no category is frequent enough"):
        _run(named, wire=True)


def test_a_share_of_the_clients_trains(tabular: Tabular) -> None:
    config = tabular("fraction=0.34")
    _run(config)
    for line in (config.run_directory / "rounds.jsonl").read_text().splitlines():
        clients = json.loads(line)["clients"]
        assert [c["note"] for c in clients].count("not drawn in this round") == 2
    for arm in summarise(read_run(config.run_directory), replicates=2):
        assert arm.guards == 0


def test_an_iid_arm_and_workers_make_the_same_run(tabular: Tabular, tmp_path: Path) -> None:
    arms = 'arms=[{name="IID", iid=true}]'
    one, two = (tabular(arms, "model=logistic", f'out="{tmp_path}/{w}"') for w in (1, 2))
    _run(one, workers=1)
    _run(two, workers=2)
    assert np.array_equal(_counts(one, "IID"), _counts(two, "IID"))
