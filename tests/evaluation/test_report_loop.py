"""Closed loops in the run log and in the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation import InputError, read_run, write_report
from tests.evaluation.fixtures import build_run

ARMS = [
    {"name": "FedAvg", "rule": "fedavg"},
    {"name": "Loop", "rule": "fedavg, replan 2", "augment": True},
]


def plans(first: dict[str, Any], second: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "lower": np.full((10, 2), 0.5).tolist(),
            "overall": 0.6,
            "asked": np.zeros((10, 2), int).tolist(),
            "cumulative": np.zeros((10, 2), int).tolist(),
            "spent": {"generated": 0, "reused": 0},
            **plan,
        }
        for plan in (first, second)
    ]


def with_loop(tmp_path: Path, logged: list[dict[str, Any]]) -> Path:
    """Put plans after the rounds 2 and 4 of the second arm."""
    run_dir = build_run(
        tmp_path / "run", clients=3, rounds=4, arms=ARMS, groups=("red", "blue"), gallery=False
    )
    path = run_dir / "rounds.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[5]["loop"], lines[7]["loop"] = logged
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run_dir


def test_a_cell_that_was_asked_for_is_a_row(tmp_path: Path) -> None:
    asked = np.zeros((10, 2), int)
    asked[3, 1], asked[0, 0] = 12, 1500
    lower, change = np.full((10, 2), 0.5), np.zeros((10, 2)).tolist()
    lower[3, 1], change[3][1], change[0][0] = 0.75, 0.125, None
    logged = plans(
        {"asked": asked.tolist(), "cumulative": asked.tolist()},
        {"cumulative": asked.tolist(), "lower": lower.tolist(), "change": change,
         "spent": {"generated": 40, "reused": 7}},
    )  # fmt: skip
    run_dir = with_loop(tmp_path, logged)
    html = (
        write_report(run_dir).read_text(encoding="utf-8").replace("\N{NARROW NO-BREAK SPACE}", " ")
    )
    assert "looked at after round 2, 4, and 1 512 further images asked of every client" in html
    assert "together generated 40 for that and took 7 from the store" in html
    table = html.split('aria-label="Closed loop of Loop"')[1].split("</table>")[0]
    rows = table.split("<tbody>")[1].split("<tr>")[1:]
    cells = [[part.split("</")[0] for part in row.split('">')[1:]] for row in rows]
    assert cells == [
        ["T-shirt/top, red", "1 500", "50.0 %", "50.0 %", "\N{EN DASH}"],
        ["Dress, blue", "12", "50.0 %", "75.0 %", "+12.5"],
    ]
    plan = read_run(run_dir).history["Loop"][3].loop
    assert plan is not None
    assert plan.change is not None
    assert np.isnan(plan.change[0, 0])
    assert read_run(run_dir).history["Loop"][2].loop is None


def test_runs_without_a_loop_have_no_such_section(tmp_path: Path) -> None:
    run_dir = build_run(tmp_path / "run", clients=3, rounds=2, arms=ARMS, gallery=False)
    assert "closed loop" not in write_report(run_dir).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"lower": [[0.5]]}, r"line 6, loop: field 'lower': expected numbers of shape \[10, 2\]"),
        ({"lower": [["0.5", 0.5]] * 10}, "field 'lower': expected numbers or nulls"),
        ({"lower": [[0.5], [0.5, 0.5]]}, "field 'lower': expected numbers of shape"),
        ({"asked": [[-1, 0]] * 10}, "field 'asked': expected counts"),
        ({"spent": 3}, "line 6, loop, spent: expected an object, got int"),
    ],
)
def test_a_malformed_plan_names_line_and_field(
    tmp_path: Path, wrong: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        read_run(with_loop(tmp_path, plans(wrong, {})))
