"""Audits of runs whose clients report one figure each, or counts by group without arms."""

from pathlib import Path

import numpy as np
import pytest

from evaluation import InputError
from evaluation.audit.from_counts import run_tally
from evaluation.audit.of_clients import audit_clients
from evaluation.results_run import counted_run, read_results_run
from tests.evaluation.systems import COUNTED, clients, line, results, system_run

FOUND = results({"A": (0.5, 1.0)})


def test_how_even_accuracies_are() -> None:
    found = audit_clients(FOUND, clients(), title="Audit")
    even, each = found.tables
    row = dict(zip((column.title for column in even.columns), even.rows[0], strict=True))
    assert (row["method"], row["clients"], row["worst client"]) == ("A", 3, "south")
    assert (row["worst"], row["best"], row["gap"]) == pytest.approx((0.5, 0.9, 0.4))
    assert row["mean"] == pytest.approx(2.2 / 3)
    assert isinstance(row["chance"], float)
    assert 0 < row["chance"] < 0.4  # 90 and 50 of 100 are told from chance
    assert even.rows[1][1] == 2  # one client has no figure of B
    assert each.rows[1] == ("south", 100, 0.5, 0.7)
    assert each.rows[2] == ("client 2", 10, 0.8, None)
    own = clients().interval("A", "south")
    assert own is not None
    assert (own.low, own.high) == pytest.approx((0.404, 0.596), abs=1e-3)


def test_of_losses_the_worst_is_the_largest() -> None:
    losses = clients(values={"LoRA": {"north": 1.0, "south": 2.0}}, kind="loss", better="lower",
                     rows={})  # fmt: skip
    found = audit_clients(FOUND, losses, title="Audit")
    even, _ = found.tables
    row = dict(zip((column.title for column in even.columns), even.rows[0], strict=True))
    assert (row["worst"], row["best"], row["worst client"]) == (2.0, 1.0, "south")
    assert "chance" not in row
    assert "without the rows behind them" in found.warnings[0]


def test_methods_can_be_chosen() -> None:
    found = audit_clients(FOUND, clients(), title="Audit", methods=("B",))
    assert [row[0] for row in found.tables[0].rows] == ["B"]
    with pytest.raises(InputError, match="no arm 'C'; there are: A, B"):
        audit_clients(FOUND, clients(), title="Audit", methods=("C",))


def test_counts_by_group_are_audited_like_those_of_arms(tmp_path: Path) -> None:
    north = [[[8, 2], [1, 9]], [[5, 5], [0, 0]]]
    south = [[[0, 0], [0, 0]], [[3, 1], [2, 2]]]
    lines = [line("A", number, {"north": north, "south": south}) for number in (1, 2)]
    path = system_run(tmp_path / "run", results({"A": (0.5, 1.0)}, counts=COUNTED), lines)
    run = counted_run(read_results_run(path))
    tally, notes = run_tally(run, "A")
    assert tally.schema.clients == ("north", "south")
    assert [axis.name for axis in tally.schema.axes] == ["sex"]
    assert tally.schema.axes[0].levels == ("f", "m")
    assert notes == ("Counts of arm A, round 2 of 2, on the clients' test rows.",)
    assert run.splits["main"].test.sum() == np.sum(north) + np.sum(south)


def test_a_run_without_counts_is_named(tmp_path: Path) -> None:
    found = results({"A": (0.5, 1.0)}, counts=COUNTED)
    path = system_run(tmp_path / "run", found, [line("A", 1)])
    with pytest.raises(InputError, match="no client has reported counts"):
        counted_run(read_results_run(path))
