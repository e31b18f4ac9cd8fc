"""The numbers of an arm, by hand on a tiny run, and on runs that are not complete."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from evaluation import compare, read_run, summarise, summary_table
from evaluation.export import report_data
from tests.evaluation.fixtures import ARMS, build_run


def tiny(path: Path, groups: list[str], arms: list[dict[str, Any]], lines: list[Any]) -> Path:
    """Write a run of two clients and two classes."""
    path.mkdir()
    cells = [[[4] * len(groups), [0] * len(groups)], [[0] * len(groups), [4] * len(groups)]]
    main = {"train": cells, "test": cells}
    iid = {"train": [[[2] * len(groups)] * 2] * 2, "test": cells}
    federation = {
        "name": "tiny", "seed": 0, "classes": ["x", "y"], "groups": groups, "sensitive": None,
        "rounds": 2, "engine": "inprocess", "versions": {}, "arms": arms,
        "splits": {"main": main, "iid": iid},
    }  # fmt: skip
    (path / "federation.json").write_text(json.dumps(federation))
    (path / "config.toml").write_text("")
    (path / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


PLAIN = {"name": "A", "rule": "fedavg", "split": "main"}
CEILING = {"name": "R", "rule": "fedavg", "split": "iid", "reference": True}


def entry(client: int, counts: Any, **more: Any) -> dict[str, Any]:
    sent = {"bytes_down": 1_000_000, "bytes_up": 500_000}
    return {"client": client, "test_counts": counts, "n_real": 8, **sent, **more}


def test_numbers_by_hand(tmp_path: Path) -> None:
    first = [[[30, 10], [0, 0]], [[40, 0], [0, 0]]]  # client 0: 7 of 8 of class x
    second = [[[0, 0], [20, 20]], [[0, 0], [10, 30]]]  # client 1: 5 of 8 of class y
    lines = [
        {"arm": "A", "round": 1, "seconds": 1.5, "clients": [entry(0, first)]},
        {"arm": "A", "round": 2, "seconds": 2.0,
         "clients": [entry(0, first), entry(1, second, guard="clamped")]},
        {"arm": "R", "round": 1, "seconds": 1.0, "clients": [entry(0, first), entry(1, second)]},
    ]  # fmt: skip
    run = read_run(tiny(tmp_path / "run", ["a", "b"], [PLAIN, CEILING], lines))
    arm, ceiling = summarise(run)
    assert arm.accuracy.value == pytest.approx(12 / 16)
    assert arm.accuracy.low < 12 / 16 < arm.accuracy.high
    assert (arm.n, arm.clients_measured, arm.rounds, arm.rounds_planned) == (160, 2, 2, 2)
    # client 0 lacks y (5 of 8), client 1 lacks x (7 of 8)
    assert arm.missing_recall.value == pytest.approx((5 / 8 + 7 / 8) / 2)
    assert arm.client_fairness.accuracies == (7 / 8, 5 / 8)
    assert arm.worst_cell_recall.value == 0.5
    assert arm.worst_cell == "y, a (n = 40)"
    assert arm.worst_class_recall == 5 / 8
    assert arm.group_accuracy["a"].value == 5 / 8
    assert arm.gaps["accuracy_difference"].value == pytest.approx(7 / 8 - 5 / 8)
    assert arm.gaps["equal_opportunity_difference"].value == pytest.approx(0.25)
    assert (arm.seconds, arm.mb_sent) == (3.5, 4.5)
    assert (arm.failures, arm.guards) == (0, 1)
    assert not arm.under_way
    # nobody lacks a class in the reference's split: it is weighted like the baseline
    assert ceiling.missing_recall.value == pytest.approx(arm.missing_recall.value)
    assert ceiling.under_way
    (change,) = compare(run)
    assert (change.arm, change.baseline) == ("R", "A")
    assert change.changes["accuracy"].value == 0


def test_an_arm_without_rounds_and_a_single_group(tmp_path: Path) -> None:
    lines = [
        {"arm": "A", "round": 1, "clients": [
            {"client": 0, "error": "boom"}, entry(1, [[[0, 0], [10, 30]]])]},
        {"arm": "A", "round": 2, "clients": [
            {"client": 0, "error": "boom"}, {"client": 1, "error": "boom"}]},
    ]  # fmt: skip
    run = read_run(tiny(tmp_path / "run", ["all"], [PLAIN, CEILING], lines))
    arm, ceiling = summarise(run)
    assert (arm.failures, arm.rounds, arm.clients_measured) == (3, 2, 1)
    assert arm.accuracy.value == 0.75  # of round 1: in round 2 nobody answered
    assert arm.gaps == {}
    assert arm.worst_cell == "y (n = 40)"
    assert not ceiling.measured
    assert math.isnan(ceiling.accuracy.value)
    assert ceiling.worst_cell == ""
    assert compare(run) == []
    data = report_data(run, [arm, ceiling], [])
    assert data["notes"] == [
        "There is one group only ('all'): group gaps and the worst group are not defined."
    ]


def test_the_table_and_the_report_are_plain_json(tmp_path: Path) -> None:
    run = read_run(build_run(tmp_path / "run", rounds=3, gallery=False))
    rows = summary_table(run, replicates=50)
    assert [row["name"] for row in rows] == [arm["name"] for arm in ARMS]
    assert rows[0]["accuracy_low"] < rows[0]["accuracy"] < rows[0]["accuracy_high"]
    assert rows[0]["equalized_odds_difference"] > 0
    assert rows[0]["client_sd"] > 0
    assert rows[2]["synthesis_seconds"] == 74.2
    assert rows[0]["synthesis_seconds"] == 0
    data = report_data(run, summarise(run, replicates=50), compare(run, replicates=50))
    text = json.dumps(data, allow_nan=False)
    assert json.loads(text)["schema"] == 1
    assert data["baseline"] == "FedAvg"
    assert {c["arm"] for c in data["comparisons"]} == {arm["name"] for arm in ARMS[1:]}
    assert data == report_data(run, summarise(run, replicates=50), compare(run, replicates=50))


def test_augmentation_is_found_to_help(tmp_path: Path) -> None:
    run = read_run(build_run(tmp_path / "run", rounds=6, gallery=False))
    changes = {c.arm: c.changes for c in compare(run, replicates=200)}
    assert changes["FedAvg + synthetic"]["accuracy"].low > 0
    assert changes["FedAvg + synthetic"]["missing_recall"].low > 0
