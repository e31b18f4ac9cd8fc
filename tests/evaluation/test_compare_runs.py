"""Runs side by side: pairing by seed, intervals, what is refused, what is written."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from evaluation import InputError, read_run, summarise
from evaluation.compare_report import comparison_data, headline, write_comparison
from evaluation.compare_runs import (
    COUNTS,
    MEASURES,
    PAIRED,
    compare_runs,
    student_interval,
)
from tests.evaluation.fixtures import ARMS, build_run


def run(folder: Path, seed: int, *, arms: list[int] | None = None, name: str = "") -> Path:
    chosen = [ARMS[i] for i in (arms or [0, 1, 4])]
    path = folder / (name or f"run-{seed}")
    return build_run(path, seed=seed, rounds=3, clients=4, arms=chosen, gallery=False)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    return [run(folder, seed) for seed in (3, 1, 2)]


def test_seeds_of_one_configuration_become_one_row_per_arm(three: list[Path]) -> None:
    found = compare_runs(three)
    assert [entry.label for entry in found.entries] == ["FedAvg", "FairFed", "IID ceiling"]
    assert all(entry.seeds == (1, 2, 3) for entry in found.entries)
    assert found.baseline == "FedAvg"
    values = [summarise(read_run(p))[1].accuracy.value for p in sorted(three)]
    assert found.entries[1].values["accuracy"].value == pytest.approx(np.mean(values))


def test_differences_are_paired_over_seeds(three: list[Path]) -> None:
    """The interval is that of scipy's paired t-test."""
    found = compare_runs(three)
    ours, base = found.entries[1], found.entries[0]
    item = found.differences[0]
    assert (item.label, item.how, item.seeds) == ("FairFed", PAIRED, (1, 2, 3))
    for measure in MEASURES:
        a, b = ours.per_seed(measure), base.per_seed(measure)
        ends = stats.ttest_rel(a, b).confidence_interval(0.95)
        change = item.changes[measure.name]
        assert change.value == pytest.approx(float(np.mean(a - b)))
        assert (change.low, change.high) == pytest.approx((ends.low, ends.high))


def test_pairing_is_narrower_where_the_seed_moves_both() -> None:
    seeds = np.array([0.1, 0.3, 0.5, 0.7])
    change = student_interval(seeds + np.array([0.02, 0.03, 0.02, 0.03]) - seeds, 100)
    assert 0.015 < change.low < change.value < change.high < 0.035
    alone = student_interval(seeds, 100)
    assert alone.high - alone.low > 20 * (change.high - change.low)


def test_undefined_seeds_are_left_out() -> None:
    assert student_interval(np.array([0.2, math.nan, 0.4]), 9).value == pytest.approx(0.3)
    assert math.isnan(student_interval(np.array([0.2, math.nan]), 9).low)
    assert math.isnan(student_interval(np.array([math.nan]), 9).value)


def test_one_seed_is_compared_by_counts(three: list[Path]) -> None:
    found = compare_runs(three[:1])
    item = found.differences[0]
    assert item.how == COUNTS
    change = item.changes["accuracy"]
    assert change.low < change.value < change.high
    assert change.replicates > 0
    assert math.isnan(item.changes["client_sd"].low)
    assert any("not the randomness of training" in note for note in found.notes)


def test_an_arm_that_one_run_alone_has_measured_has_the_interval_of_its_counts(
    tmp_path: Path,
) -> None:
    first, second = run(tmp_path, 1), run(tmp_path, 2)
    log = second / "rounds.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(line for line in lines if json.loads(line)["arm"] == "FedAvg"))
    both, alone = compare_runs([first, second]), compare_runs([first])
    assert [entry.seeds for entry in both.entries] == [(1, 2), (1,), (1,)]
    for ours, own in zip(both.entries[1:], alone.entries[1:], strict=True):
        np.testing.assert_equal(ours.values, own.values)
    accuracy = both.entries[1].values["accuracy"]
    assert accuracy.low < accuracy.value < accuracy.high


def test_configurations_are_told_apart_and_pair_only_their_common_seeds(tmp_path: Path) -> None:
    old = [run(tmp_path, seed, arms=[0, 1]) for seed in (1, 2)]
    new = [run(tmp_path, seed, arms=[0], name=f"new-{seed}") for seed in (2, 5)]
    for path in new:
        text = (path / "config.toml").read_text()
        (path / "config.toml").write_text(text.replace("beta = 1.0", "beta = 2.0"))
    found = compare_runs([*old, *new])
    assert [e.label for e in found.entries] == ["demo: FedAvg", "demo: FairFed", "demo (2): FedAvg"]
    paired, counted = found.differences
    assert (paired.how, paired.seeds) == (PAIRED, (1, 2))
    assert (counted.how, counted.seeds) == (COUNTS, (2,))
    assert found.entries[2].counts().sum() == sum(s.n for s in found.entries[2].summaries)


def test_the_same_seed_twice_is_refused(tmp_path: Path) -> None:
    first, second = run(tmp_path, 1), run(tmp_path, 1, name="again")
    with pytest.raises(InputError, match="the same seed 1") as error:
        compare_runs([first, second])
    assert str(second) in str(error.value)
    assert len(compare_runs([first, first]).entries) == 3  # the same directory is one run


def test_a_run_that_has_not_begun_is_an_error_and_one_under_way_is_noted(tmp_path: Path) -> None:
    path = run(tmp_path, 1)
    log = path / "rounds.jsonl"
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[:2]))
    found = compare_runs([path])
    assert [entry.label for entry in found.entries] == ["FedAvg"]
    assert "FedAvg: still under way (2 of 3 rounds)." in found.notes
    assert headline(found) == "FedAvg is the only arm: there is nothing to compare it with."
    log.write_text("")
    with pytest.raises(InputError, match="measured round"):
        compare_runs([path])


def test_files_say_the_same(three: list[Path], tmp_path: Path) -> None:
    found = compare_runs(three)
    paths = write_comparison(found, tmp_path / "new" / "folder")
    content = json.loads(paths["json"].read_text("utf-8"))
    assert content == json.loads(json.dumps(comparison_data(found)))
    assert content["schema"] == 1
    assert content["arms"][0]["per_seed"]["accuracy"] == [
        pytest.approx(v) for v in found.entries[0].per_seed(MEASURES[0])
    ]
    for kind in ("html", "md"):
        text = paths[kind].read_text("utf-8")
        assert headline(found).split(":")[0] in text
    rows = [line for line in paths["md"].read_text("utf-8").splitlines() if line[:1] == "|"]
    assert len({line.count("|") for line in rows[:5]}) == 1


def test_a_folder_that_cannot_be_written_is_an_error(three: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_comparison(compare_runs(three[:1]), tmp_path / "file")
