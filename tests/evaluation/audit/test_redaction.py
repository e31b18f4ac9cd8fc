"""Redaction: from all figures of an audit together, no small count can be told to be small."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from evaluation.audit.disclosure import without_counts
from evaluation.audit.gate import judge, parse_condition
from evaluation.audit.junit import junit_xml
from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import Audit, Estimate
from evaluation.audit.report import write_reports
from evaluation.audit.run import audit
from evaluation.audit.sparse import SparseCounts
from evaluation.audit.tally import Tally
from evaluation.errors import InputError
from tests.evaluation.audit.tallies import tally_of

OUTCOMES = ("tn", "fp", "fn", "tp")
PARTS = {
    "accuracy": ("tn tp", "tn fp fn tp"),
    "zero_one_loss": ("fp fn", "tn fp fn tp"),
    "selection_rate": ("fp tp", "tn fp fn tp"),
    "base_rate": ("fn tp", "tn fp fn tp"),
    "true_positive_rate": ("tp", "fn tp"),
    "true_negative_rate": ("tn", "tn fp"),
    "false_positive_rate": ("fp", "tn fp"),
    "false_negative_rate": ("fn", "fn tp"),
    "precision": ("tp", "fp tp"),
    "false_discovery_rate": ("fp", "fp tp"),
    "false_omission_rate": ("fn", "tn fn"),
    "error_rate": ("fp fn", "tn fp fn tp"),
}
"""Outcomes that a rate is a share of, and of which others."""


def tally(counts: Any, names: tuple[str, ...] = ("g", "h")) -> Tally:
    """Counts ``(*columns, truth, prediction)``, or with clients first for one name less."""
    counts = np.asarray(counts)
    rows = np.repeat(np.argwhere(counts >= 0), counts.ravel(), axis=0)
    clients = counts.shape[0] if counts.ndim > len(names) + 2 else 1
    lead = int(clients > 1)
    groups = {name: rows[:, lead + i] for i, name in enumerate(names)}
    client = rows[:, 0] if lead else None
    return tally_of(rows[:, -2], rows[:, -1], groups, client=client, clients=clients)


class Attacker:
    """Knows every figure of an audit, and which groups occur; looks for what that leaves open."""

    def __init__(self, found: Audit, counts: Any) -> None:
        self.found, self.counts = found, np.asarray(counts)
        self.names = [axis.name for axis in found.schema.axes]
        self.cells = np.argwhere(self.counts.sum(axis=(-2, -1)) > 0)  # finest groups that occur
        self.rows: list[Any] = []
        self.known: list[float] = []
        for place, estimate, name in self.rates():
            if name not in PARTS or estimate.n == 0:
                continue
            part, whole = PARTS[name]
            self.tell(place, whole, estimate.n)
            if not np.isnan(estimate.value):
                self.tell(place, part, round(estimate.value * estimate.n))

        for item in found.contributions:
            lead, by = item.gap.partition(" @ ")[2].split(" × "), self.cells
            client = by[:, 0] == found.schema.clients.index(item.client)
            (compared,) = (one for one in found.comparisons if list(one.by) == lead)
            for group in compared.groups:
                place = client & self.place(tuple(zip(lead, group.split(" × "), strict=True)))
                own = self.counts[tuple(self.cells[place].T)].sum(axis=0).ravel()
                for outcome, count in zip(OUTCOMES, own, strict=True):
                    self.tell(place, outcome, count)

    def rates(self) -> Iterator[tuple[Any, Estimate, str]]:
        """Every rate that is published, with the finest groups that it is of."""
        everyone = np.ones(len(self.cells), np.bool_)
        yield everyone, Estimate(np.nan, n=self.found.n), "accuracy"
        for comparison in self.found.comparisons:
            inside = everyone & False
            for i, group in enumerate(comparison.groups):
                where = zip(comparison.by, group.split(" × "), strict=True)
                place = self.place(tuple(where))
                inside |= place
                yield place, Estimate(np.nan, n=comparison.rows[i]), "accuracy"
                for metric in comparison.metrics:
                    yield place, metric.groups[i], metric.name
            for metric in comparison.metrics:
                yield everyone, metric.overall, metric.name
            yield ~inside, Estimate(np.nan, n=comparison.suppressed_rows), "accuracy"
        for subgroup in self.found.subgroups:
            place = self.place(subgroup.where)
            yield place, Estimate(np.nan, n=subgroup.n), "accuracy"
            yield place, subgroup.estimate, subgroup.metric
        clients = {item.client: item.n for item in self.found.contributions}
        fair = self.found.clients
        for i, name in enumerate(self.found.schema.clients if fair is not None else ()):
            if name in clients:
                assert fair is not None
                accuracy = Estimate(fair.accuracies[i], n=clients[name])
                yield self.cells[:, 0] == i, accuracy, "accuracy"

    def place(self, where: tuple[tuple[str, str], ...]) -> Any:
        lead = self.cells.shape[1] - len(self.names)
        inside = np.ones(len(self.cells), np.bool_)
        for name, level in where:
            inside &= self.cells[:, lead + self.names.index(name)] == int(level)
        return inside

    def tell(self, place: Any, outcomes: str, count: float) -> None:
        self.rows.append(self.row(place, outcomes))
        self.known.append(count)

    def row(self, place: Any, outcomes: str) -> Any:
        return (
            np.outer(place, [name in outcomes.split() for name in OUTCOMES]).ravel().astype(float)
        )

    def most(self, place: Any, outcomes: str) -> float:
        """The largest number that a count may be, for all that was published."""
        known = np.array(self.known, float)
        found = milp(
            -self.row(place, outcomes),
            integrality=np.ones(4 * len(self.cells)),
            bounds=Bounds(0, np.inf),
            constraints=LinearConstraint(np.array(self.rows), known, known),
        )
        assert found.success  # the true counts are a solution
        return float(-found.fun)

    def narrowed(self, most: int) -> list[str]:
        """Small counts, of any group of any column or cross, that must be small."""
        told, lead = [], self.cells.shape[1] - len(self.names)
        truth = self.counts[tuple(self.cells.T)].reshape(len(self.cells), 4)
        for columns in [(lead,), (lead + 1,), (lead, lead + 1), *([(0,)] if lead else [])]:
            for place in np.unique(self.cells[:, columns], axis=0):
                inside = (self.cells[:, columns] == place).all(axis=1)
                for k, outcome in enumerate(OUTCOMES):
                    count = int(truth[inside, k].sum())
                    if 1 <= count <= most and self.most(inside, outcome) <= most:
                        told.append(f"{columns}={place} {outcome}: {count}")
        return told


def redacted(counts: Any, most: int, **options: Any) -> Audit:
    settled = AuditOptions(redact=most, replicates=0, min_group=1, **options)
    return audit(tally(counts), settled)


SIZES = st.one_of(st.integers(0, 6), st.integers(7, 60))


@settings(deadline=None, max_examples=12)
@given(st.data(), st.integers(2, 4), st.integers(2, 3), st.integers(2, 6))
def test_no_small_count_can_be_derived(data: Any, g: int, h: int, most: int) -> None:
    flat = data.draw(st.lists(SIZES, min_size=4 * g * h, max_size=4 * g * h))
    counts = np.array(flat).reshape(g, h, 2, 2)
    try:
        found = redacted(counts, most)
    except InputError as error:
        assert "nothing can be published" in str(error)  # noqa: PT017
        return
    gone = [note for note in found.notes if "left out of every figure" in note]
    if gone:  # the attacker does not even see these rows
        words = gone[0].partition("the rows of ")[2].partition(" are left out")[0]
        for name, _, level in (group.partition(": ") for group in words.split(", ")):
            counts.swapaxes(0, "gh".index(name))[int(level)] = 0
    assert Attacker(found, counts).narrowed(most) == []


@settings(deadline=None, max_examples=6)
@given(st.data(), st.integers(2, 3))
def test_nor_from_what_is_said_of_clients(data: Any, clients: int) -> None:
    flat = data.draw(st.lists(SIZES, min_size=16 * clients, max_size=16 * clients))
    counts = np.array(flat).reshape(clients, 2, 2, 2, 2) + 7 * (np.arange(clients) == 0).reshape(
        -1, 1, 1, 1, 1
    )
    found = redacted(counts, 3)
    if not any("left out of every figure" in note for note in found.notes):
        assert Attacker(found, counts).narrowed(3) == []


def test_the_attacker_finds_what_an_audit_without_redaction_tells() -> None:
    counts = np.full((2, 2, 2, 2), 20)
    counts[0, 0, 1, 0] = 2
    found = audit(tally(counts), AuditOptions(replicates=0))
    assert Attacker(found, counts).narrowed(5) == ["(0, 1)=[0 0] fn: 2"]


def test_margins_do_not_give_a_cell_away() -> None:
    """2 false negatives in a cell: one in its row goes too, one in its column, and the corner."""
    counts = np.full((3, 3, 2, 2), 20)
    counts[0, 0, 1, 0] = 2
    found = redacted(counts, 5)
    single, _, crossed = found.comparisons
    assert single.groups == ("0", "1", "2")
    assert single.rows == (222, 240, 240)  # figures that stay are exact
    assert len(crossed.groups) == 5
    assert not {"0 × 0"} & set(crossed.groups)
    assert Attacker(found, counts).narrowed(5) == []


def test_one_small_group_is_not_what_the_others_leave_over() -> None:
    """13 rows: their group's rows leave the audit, and the other two are compared as they are."""
    counts = np.full((3, 1, 2, 2), 50)
    counts[2] = [[6, 4], [1, 2]]
    found = audit(tally(counts), AuditOptions(redact=5, replicates=0, by=(("g",),)))
    assert found.n == 400
    assert found.comparisons[0].groups == ("0", "1")
    assert any("the rows of g: 2 are left out of every figure" in note for note in found.notes)
    assert not any("13" in note for note in found.notes)


def test_a_withheld_group_takes_the_next_smallest_with_it() -> None:
    counts = np.full((4, 1, 2, 2), 50)
    counts[1] = [[60, 50], [3, 50]]
    counts[2] += 5
    counts[3] -= 1
    (found,) = redacted(counts, 5, by=(("g",),)).comparisons
    assert found.groups == ("0", "2")
    assert found.suppressed == ("1", "3")
    assert found.suppressed_rows == 163 + 196


def test_nothing_is_published_of_rare_outcomes() -> None:
    counts = np.full((2, 2, 2, 2), 30)
    counts[:, :, 0, 1] = 1
    with pytest.raises(InputError, match="an outcome .* has from 1 to 5 rows in all"):
        redacted(counts, 5)


def test_an_audit_depends_on_published_counts_alone(tmp_path: Path) -> None:
    """Rows moved between withheld groups change no byte of any report."""
    counts = np.full((4, 1, 2, 2), 50)
    counts[2:, 0, 1, 0] = 3, 40
    other = counts.copy()
    other[2:, 0, 1, 0] = 5, 38
    other[2:, 0, 0, 0] = 45, 55
    written = []
    for k, own in enumerate((counts, other)):
        options = AuditOptions(redact=5, replicates=50, by=(("g",),))
        found = audit(tally(own), options, notes=[f"{own[2].sum()} rows had no value"])
        found = replace(found, gate=judge(found, [parse_condition("accuracy_difference > 0.9")]))
        paths = write_reports(found, tmp_path / str(k))
        written.append([path.read_bytes() for path in paths.values()] + [junit_xml(found).encode()])
    assert written[0] == written[1]
    assert json.loads(written[0][1])["audit"]["comparisons"][0]["groups"] == ["0", "1"]


def test_a_gate_does_not_judge_what_is_withheld() -> None:
    counts = np.full((2, 1, 2, 2), 50)
    counts[0, 0, 1, 0] = 2
    found = redacted(counts, 5, by=(("g",),))
    (verdict,) = judge(found, [parse_condition("equalized_odds_difference @ g > 0.1")])
    assert not verdict.held
    assert not verdict.audited
    assert "withheld by redaction" in verdict.message


def test_a_regression_hides_groups_of_few_rows() -> None:
    from tests.evaluation.audit.tallies import tally_of_errors

    group = np.repeat([0, 1, 2], [40, 60, 3])
    own = tally_of_errors(np.ones(103), group, 3)
    found = audit(own, AuditOptions(redact=5, replicates=0))
    assert found.comparisons[0].groups == ("0", "1")
    assert found.n == 100


def test_many_classes_hide_by_right_and_wrong() -> None:
    y = np.repeat([0, 1, 2], 100)
    wrong = np.arange(300) % 30 == 0
    group = np.arange(300) % 4
    group[group == 3] = 2
    found = audit(
        tally_of(y, np.where(wrong, (y + 1) % 3, y), {"g": group}, classes=3),
        AuditOptions(redact=5, replicates=0),
    )
    assert found.comparisons[0].groups == ("1",)  # none wrong; of the others 5 rows each are
    assert found.comparisons[0].suppressed == ("0", "2")


def test_score_curves_are_left_out() -> None:
    y = np.tile([0, 1], 200)
    group = np.repeat([0, 1], 200)
    own = tally_of(y, np.roll(y, 150) * 0 + (np.arange(400) // 2 % 2), {"g": group})
    schema = replace(own.schema, bins=4)
    rows = np.stack([0 * group, group, 0 * group, y, np.arange(400) // 7 % 4])
    shape = (*schema.group_shape, 1, 2, 4)
    flat = np.ravel_multi_index(tuple(rows), shape)
    scores = SparseCounts.collect(shape, flat, np.ones((400, 1), np.int64))
    found = audit(Tally(schema, own.confusion, scores), AuditOptions(redact=3, replicates=0))
    assert found.scores[0].groups == ("0", "1")
    assert found.scores[0].densities == found.scores[0].calibration == ()
    assert found.frontiers == ()


@given(st.integers(0, 10_000))
def test_notes_lose_their_counts(n: int) -> None:
    text = without_counts(f"{n:,} rows were dropped (n = {n})")
    assert text == "some rows were dropped (n withheld)"


@pytest.mark.parametrize("text", ["95 % interval 1.5 to 3", "2.5 rows per second", "p = 3",
                                  "fewer than 3 rows"])  # fmt: skip
def test_other_numbers_stay(text: str) -> None:
    assert without_counts(text) == text
