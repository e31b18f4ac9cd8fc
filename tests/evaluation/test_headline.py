"""What a report says first: no winner within noise or at a client's cost, no levelling down."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from evaluation.compare_report import headline as compared
from evaluation.compare_report import warned, write_comparison
from evaluation.compare_runs import compare_runs
from evaluation.drawn_down import drawn_down
from evaluation.intervals import Interval
from evaluation.numbers import NBSP
from evaluation.report import write_report
from evaluation.report.headline import Headline, headline
from evaluation.report.tables import columns, comparison_rows
from evaluation.report.verdicts import BETTER, LEVELLED, UNCLEAR, judged
from evaluation.run import read_run
from evaluation.summary import ArmSummary, compare, summarise
from fairfed.cli.comparing import compare_here
from fairfed.cli.tables import print_summary

ROUNDS = 3
NAMES = ("Ward A", "1")


def counts(right: float, n: int = 400, gap: float = 0.0) -> Any:
    """Two groups of n rows in each of two classes; a share of each is right."""
    found = np.zeros((2, 2, 2), int)
    for group, share in enumerate((right + gap / 2, right - gap / 2)):
        hit = round(n * share)
        found[group] = [[hit, n - hit], [n - hit, hit]]
    return found.tolist()


def client(k: int, tested: Any, weight: float, n: int = 50, **more: Any) -> dict[str, Any]:
    sent = {"bytes_down": 1000, "bytes_up": 1000, "raw_weight": weight, "seconds": 1.0}
    return {"client": k, "n_real": n, "weight": weight, "test_counts": tested, **sent, **more}


def run_of(path: Path, arms: dict[str, dict[str, Any]], **top: Any) -> Path:
    """Write a run of two clients; an arm says what it is, and what its clients have in a round."""
    path.mkdir()
    cells = [[[50, 50], [50, 50]]] * 2
    kinds = {name: {k: v for k, v in arm.items() if k != "clients"} for name, arm in arms.items()}
    federation = {
        "name": path.name, "seed": 0, "classes": ["x", "y"], "groups": ["a", "b"],
        "sensitive": "g", "rounds": ROUNDS, "engine": "inprocess", "versions": {},
        "splits": {"main": {"train": cells, "test": cells}}, "clients": NAMES,
        "arms": [{"name": n, "rule": "fedavg", "split": "main", **k} for n, k in kinds.items()],
        **top,
    }  # fmt: skip
    (path / "federation.json").write_text(json.dumps(federation))
    (path / "config.toml").write_text(f'name = "{path.name}"\n')
    lines = [
        {"arm": name, "round": number, "seconds": 1.0, "clients": arm["clients"]}
        for name, arm in arms.items()
        for number in range(1, ROUNDS + 1)
    ]
    (path / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def evenly(right: float, gap: float = 0.0, **more: Any) -> list[dict[str, Any]]:
    return [client(k, counts(right, gap=gap), 0.5, **more) for k in (0, 1)]


def concluded(path: Path) -> Headline:
    run = read_run(path)
    summaries = summarise(run, replicates=50)
    found = headline(run, summaries, compare(run))
    parts = (found.title, *found.lines, *found.warnings)
    title, *rest = (part.replace(NBSP, " ") for part in parts)
    count = len(found.lines)
    return Headline(title, tuple(rest[:count]), tuple(rest[count:]))


FEDAVG = {"clients": evenly(0.6)}
SYNTHETIC = {"augment": True, "clients": evenly(0.82, n_synthetic=100)}
STEERED = {"augment": True, "rule": "fairfed", "clients": evenly(0.823, n_synthetic=100)}


def test_within_noise_the_cheapest_is_named_and_the_tie_is_said(tmp_path: Path) -> None:
    arms = {"FedAvg": FEDAVG, "Both": STEERED, "Augmentation": SYNTHETIC}
    path = run_of(tmp_path / "run", arms)
    title = concluded(path).title
    assert title.startswith("Augmentation raised test accuracy over FedAvg from 60.0 % to 82.0 %")
    assert "; within noise of it, and no cheaper: Both (+0.3 points)" in title
    said = compared(compare_runs([path]))
    assert said.startswith("Augmentation is clearly more accurate than FedAvg: +22.0 points")
    assert "; within noise of it, and no cheaper: Both (+0.3 points)." in said


def test_a_clear_winner_wins_however_dear(tmp_path: Path) -> None:
    steered = {**STEERED, "clients": evenly(0.95, n_synthetic=100)}
    path = run_of(tmp_path / "run", {"FedAvg": FEDAVG, "A": SYNTHETIC, "Both": steered})
    title = concluded(path).title
    assert title.startswith("Both raised test accuracy")
    assert "within noise" not in title
    assert compared(compare_runs([path])).startswith("Both is clearly more accurate")


def test_nothing_helped_names_no_winner_within_noise(tmp_path: Path) -> None:
    path = run_of(tmp_path / "run", {"FedAvg": FEDAVG, "B": {**STEERED, "clients": evenly(0.605)}})
    assert concluded(path).title.startswith(
        "Nothing helped test accuracy: no arm is clearly more accurate than FedAvg (60.0 %); "
        "the closest is B with +0.5 points"
    )
    assert compared(compare_runs([path])).startswith(
        "No arm is clearly more accurate than FedAvg; the closest is B: +0.5 points"
    )


def test_all_clearly_worse_is_said(tmp_path: Path) -> None:
    worse = {"B": {**STEERED, "clients": evenly(0.4)}, "C": {**SYNTHETIC, "clients": evenly(0.2)}}
    path = run_of(tmp_path / "run", {"FedAvg": FEDAVG, **worse})
    title = concluded(path).title
    assert "all arms are clearly less accurate than FedAvg (60.0 %); the closest is B" in title
    said = compared(compare_runs([path]))
    assert said.startswith("All arms are clearly less accurate than FedAvg; the closest is B: ")
    alone = run_of(tmp_path / "alone", {"FedAvg": FEDAVG, "B": worse["B"]})
    assert compared(compare_runs([alone])).startswith("B is clearly less accurate than FedAvg")


def starved(right: float, flag: bool | None, worst: float = 0.5) -> list[dict[str, Any]]:
    more = {} if flag is None else {"drawn_down": flag}
    return [client(0, counts(worst), 0.01, **more), client(1, counts(right), 0.99)]


@pytest.mark.parametrize("flag", [True, None])  # None: a log of an earlier version
def test_an_arm_that_draws_a_client_down_warns_and_cannot_win(
    tmp_path: Path, flag: bool | None
) -> None:
    steered = {**STEERED, "clients": starved(1.0, flag, worst=0.9)}
    path = run_of(tmp_path / "run", {"FedAvg": FEDAVG, "Augmentation": SYNTHETIC, "Both": steered})
    found = concluded(path)
    assert found.title.startswith("Augmentation raised test accuracy")
    assert "Both" not in found.title
    (warning,) = found.warnings
    assert warning.startswith("Both draws Ward A down: in 3 of 3 rounds")
    assert "weight down to 1.00 %, share 50.0 %; 90.0 % of its test images" in warning
    page = write_report(path).read_text()
    assert '<p class="alarm" role="alert">Both draws Ward A down' in page
    assert page.index('class="alarm"') < page.index('class="say"')
    found_runs = compare_runs([path])
    assert compared(found_runs).startswith("Augmentation is clearly more accurate")
    assert [w.replace(NBSP, " ") for w in warned(found_runs)] == [f"Both, seed 0: {warning}"]
    text = write_comparison(found_runs, tmp_path / "out")["html"].read_text()
    assert text.index('class="alarm"') < text.index('class="say"')


def test_the_terminal_warns_in_red(tmp_path: Path) -> None:
    steered = {**STEERED, "as_published": True, "clients": starved(1.0, True)}
    path = run_of(tmp_path / "run", {"FedAvg": FEDAVG, "Both": steered})
    for show in (lambda c: print_summary(path, c), lambda c: compare_here([path], console=c)):
        console = Console(width=100, force_terminal=True, record=True, file=StringIO())
        show(console)
        text = console.export_text(styles=True)
        assert "\x1b[31m" in text
        assert "Both (rule as published) draws Ward A down" in text


def test_where_every_arm_draws_a_client_down_none_is_recommended(tmp_path: Path) -> None:
    steered = {**STEERED, "clients": starved(1.0, True)}
    path = run_of(tmp_path / "run", {"FedAvg": FEDAVG, "Both": steered})
    expected = "No arm can be recommended over FedAvg"
    assert concluded(path).title.startswith(expected)
    assert compared(compare_runs([path])).startswith(expected)


def test_two_rounds_are_no_warning_and_three_are(tmp_path: Path) -> None:
    path = run_of(tmp_path / "run", {"S": {"rule": "fairfed", "clients": starved(0.9, True)}})
    log = path / "rounds.jsonl"
    run = read_run(path)
    (found,) = drawn_down(run, run.arms[0], np.array([0.5, 0.9]))
    assert (found.client, found.rounds, found.of) == (0, 3, 3)
    assert (found.weight, found.share, found.accuracy) == (0.01, 0.5, 0.5)
    log.write_text("".join(line + "\n" for line in log.read_text().splitlines()[:2]))
    run = read_run(path)
    assert drawn_down(run, run.arms[0], np.array([0.5, 0.9])) == ()


def test_of_an_old_log_neither_the_cap_nor_one_vote_each_is_a_silence(tmp_path: Path) -> None:
    capped = [client(0, counts(0.6), 0.4, n=90), client(1, counts(0.6), 0.4, n=5)]
    path = run_of(tmp_path / "run", {"S": {"clients": capped}})
    run = read_run(path)
    assert drawn_down(run, run.arms[0], np.array([0.5, 0.5])) == ()


def change(value: float, half: float = 0.01) -> Interval:
    return Interval(value, value - half, value + half, 100)


SMALLER = {"equalized_odds_difference": change(-0.35)}


@pytest.mark.parametrize(
    ("served", "word"),
    [
        ({"accuracy": change(0.0), "worst_group_accuracy": change(0.1)}, BETTER),
        ({"accuracy": change(-0.19), "worst_group_accuracy": change(0.0)}, LEVELLED),
        ({"accuracy": change(0.0), "worst_group_accuracy": change(-0.1)}, LEVELLED),
        ({"accuracy": change(0.0), "worst_cell_recall": change(-0.1)}, LEVELLED),
        # everybody a little worse, none of it clear
        ({"accuracy": change(-0.005), "worst_group_accuracy": change(-0.004)}, LEVELLED),
        ({"accuracy": change(-0.005), "worst_group_accuracy": change(0.004)}, BETTER),
    ],
)
def test_levelling_down_is_no_improvement(served: dict[str, Interval], word: str) -> None:
    assert judged({**SMALLER, **served}, "equalized_odds_difference", "lower") == word
    unclear = {"equalized_odds_difference": change(-0.005), **served}
    assert judged(unclear, "equalized_odds_difference", "lower") == UNCLEAR


def test_levelling_down_is_neither_green_nor_starred(tmp_path: Path) -> None:
    arms = {
        "FedAvg": {"clients": evenly(0.7, gap=0.4)},
        "Levelled": {"rule": "fairfed", "clients": evenly(0.45, gap=0.0)},
        "Fair": {"rule": "afl", "clients": evenly(0.75, gap=0.1)},
    }
    path = run_of(tmp_path / "run", arms)
    run = read_run(path)
    summaries, comparisons = summarise(run, replicates=50), compare(run)
    lines = headline(run, summaries, comparisons).lines
    (gap,) = [line for line in lines if line.startswith("Group gap")]
    assert "clearly smaller than FedAvg's with Fair; levelled down" in gap
    assert gap.split("levelled down")[1].startswith(", smaller and nobody better served, with Lev")
    page = write_report(path).read_text()
    assert '<span class="soft"><span aria-hidden="true">◇</span> −40.0 levelled down' in page
    assert starred(path)["Equalized odds diff."] == {"Fair"}


def starred(path: Path) -> dict[str, set[str]]:
    run = read_run(path)
    shown = columns(run)
    rows = comparison_rows(run, summarise(run, replicates=50), compare(run), shown)
    return {
        column.title: {summary.name for summary, cells in rows if cells[i].best}
        for i, column in enumerate(shown)
    }


def test_ties_are_starred_together_or_not_at_all(tmp_path: Path) -> None:
    arms = {"FedAvg": FEDAVG, "Augmentation": SYNTHETIC, "Both": STEERED}
    assert starred(run_of(tmp_path / "run", arms))["Test accuracy"] == {"Augmentation", "Both"}
    same = {"FedAvg": FEDAVG, "B": {"rule": "fairfed", "clients": evenly(0.605)}}
    assert not any(starred(run_of(tmp_path / "same", same)).values())
    drawn = {**arms, "Both": {**STEERED, "clients": starved(1.0, True, worst=1.0)}}
    assert starred(run_of(tmp_path / "drawn", drawn))["Test accuracy"] == {"Augmentation"}


def with_group(extra: Any) -> list[dict[str, Any]]:
    return [client(k, [*counts(0.7, gap=0.1), extra], 0.5) for k in (0, 1)]


def gaps_of(path: Path, name: str, extra: Any, **top: Any) -> ArmSummary:
    cells = [[[50, 50, 1], [50, 50, 0]]] * 2
    made = run_of(
        path / name, {"A": {"clients": with_group(extra)}}, groups=["a", "b", "missing"],
        splits={"main": {"train": cells, "test": cells}}, **top,
    )  # fmt: skip
    return summarise(read_run(made), replicates=50)[0]


def test_groups_that_are_too_small_or_unknown_are_in_no_gap(tmp_path: Path) -> None:
    handful = gaps_of(tmp_path, "few", [[0, 5], [0, 0]])  # 10 of 10 wrong, over both clients
    unknown = gaps_of(tmp_path, "unknown", [[0, 90], [90, 0]], unknown=["missing"])
    for arm in (handful, unknown):
        assert arm.gaps["accuracy_difference"].value == pytest.approx(0.1)
        assert arm.gaps["equalized_odds_difference"].value == pytest.approx(0.1)
        assert arm.worst_cell == "x, b (n = 800)"
        assert arm.worst_group_accuracy.value == pytest.approx(0.65)
        assert arm.group_accuracy["missing"].value == 0.0  # listed all the same
    large = gaps_of(tmp_path, "many", [[0, 90], [90, 0]])
    assert large.gaps["accuracy_difference"].value == pytest.approx(0.75)


def test_what_is_left_out_of_the_gaps_is_said(tmp_path: Path) -> None:
    gaps_of(tmp_path, "unknown", [[0, 90], [90, 0]], unknown=["missing"])
    arms = {"A": {"clients": evenly(0.7)}, "B": {"clients": evenly(0.71)}}
    assert not any("In no gap" in line for line in concluded(run_of(tmp_path / "r", arms)).lines)
    found = concluded(tmp_path / "unknown")
    assert any(
        line == "In no gap and no worst case, for want of a known group or of 20 test images: "
        "missing (value unknown)."
        for line in found.lines
    )
