"""Clients of a run over a table, asked anew: the columns that the run fitted are used."""

from __future__ import annotations

from collections.abc import Callable

from evaluation.audit.from_counts import run_tally
from evaluation.run import read_run
from fairfed.cli.audit_asking import audit_run
from fairfed.config import Config
from tests.fairfed.runs import play


def test_a_tables_run_is_audited_with_its_scores(tabular: Callable[..., Config]) -> None:
    config = tabular("rounds=1")
    play(config)
    run = read_run(config.run_directory)
    arm = config.arms[0].name
    logged, _ = run_tally(run, arm)
    asked = audit_run(config.run_directory, arm, bins=8).tally
    names = [axis.name for axis in logged.schema.axes]
    assert names == list(config.data.sensitive)
    assert asked.counts(names) == logged.counts(names)
    assert asked.schema.positive == "yes"
    assert asked.scores is not None
    assert asked.scores.values.sum() == asked.n
