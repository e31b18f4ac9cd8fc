"""The closed loop in whole runs of the real apps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fairfed.config import Arm, Config
from fairfed.rounds import checkpoint
from fairfed.server import LogWatcher
from semantic.errors import InputError
from tests.fairfed.runs import logged, new_process, play, site_of

Small = Callable[..., Config]

LOOP = ('arms=[{name="Loop", augment=true, replan=2}]', "rounds=6", "synthesis.replan_budget=5",
        "synthesis.replan_cell=3")  # fmt: skip


def without_costs(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**line, "loop": {**line["loop"], "spent": None}} if "loop" in line else line
        for line in lines
    ]


class Interrupt(LogWatcher):
    """Ctrl-C after a round whose plan the clients have acted on, before the next plan."""

    def __init__(self, number: int) -> None:
        self.number = number

    def trained_round(self, arm: Arm, row: dict[str, Any]) -> None:
        if row["round"] == self.number:
            raise KeyboardInterrupt


def test_every_plan_is_logged_made_and_measured(small: Small) -> None:
    config = small(*LOOP)
    replies = play(config, workers=2)
    lines = logged(config)
    plans = {line["round"]: line["loop"] for line in lines if "loop" in line}
    assert list(plans) == [2, 4, 6]
    assert list(plans[2]) == ["lower", "overall", "asked", "cumulative", "spent"]
    assert list(plans[6])[-1] == "change"
    asked = {number: np.array(plan["asked"]) for number, plan in plans.items()}
    assert [asked[n].sum() for n in (2, 4, 6)] == [5, 5, 0]  # after the last round nothing follows
    assert asked[2].shape == (3, 2)
    assert asked[2].max() <= 3
    assert (asked[2][np.array(plans[2]["lower"]) >= plans[2]["overall"]] == 0).all()
    assert np.array_equal(plans[4]["cumulative"], asked[2] + asked[4])
    held = [{client["n_synthetic"] for client in line["clients"]} for line in lines]
    assert held == [{16}, {16}, {21}, {21}, {26}, {26}]  # the new images are there and accepted
    # shared pools: what the first client made, the others have for nothing
    assert plans[2]["spent"] == {"generated": 0, "reused": 0}
    for number in (4, 6):
        assert sum(plans[number]["spent"].values()) >= 5
    told = [r.content.metric_records["metrics"] for r in replies]
    assert sum("generated" in m and "loss" in m for m in told) == 3 * 4
    assert (config.run_directory / "report.html").stat().st_size > 10_000
    # as many new images as were asked for, no two of a client the same
    extra = asked[2] + asked[4]
    own = site_of(config, 0).extended_set(config.arms[0], extra, asked[4])
    added = own.inputs[-10:].numpy().reshape(10, -1)
    assert len(np.unique(added, axis=0)) == 10
    assert np.bincount(own.labels[-10:].numpy(), minlength=3).tolist() == extra.sum(1).tolist()


def test_workers_and_interruptions_change_nothing(small: Small, tmp_path: Any) -> None:
    often = ('arms=[{name="Loop", augment=true, replan=1}]', "rounds=3", *LOOP[2:],
             "synthesis.share=false")  # fmt: skip
    whole = small(*often, f"out={tmp_path}/whole")
    play(whole, workers=1)
    assert [line["loop"]["spent"]["generated"] > 0 for line in logged(whole)] == [False, True, True]
    for number in (2, 3):  # after the first plan, and after the second one has been acted on
        cut = small(*often, f"out={tmp_path}/cut{number}")
        with pytest.raises(KeyboardInterrupt):
            play(cut, Interrupt(number), workers=3, wire=True)
        assert checkpoint.load(cut.run_directory / "checkpoints" / "loop.npz").round == number - 1
        new_process()
        play(cut, workers=3, wire=True)
        assert without_costs(logged(cut)) == without_costs(logged(whole))
        ends = [checkpoint.load(c.run_directory / "checkpoints" / "loop.npz")
                for c in (whole, cut)]  # fmt: skip
        assert all(np.array_equal(ends[0].arrays[k], ends[1].arrays[k]) for k in ends[0].arrays)
        states = [dict(end.state["strategy"]["loop_state"], spent=None) for end in ends]
        assert states[0] == states[1]


def test_until_it_replans_an_arm_is_as_one_without_a_loop(small: Small) -> None:
    arms = 'arms=[{name="Plain", augment=true}, {name="Loop", augment=true, replan=2}]'
    config = small(arms, "rounds=3")
    play(config)
    lines = logged(config)
    assert [line["clients"] for line in lines[:2]] == [line["clients"] for line in lines[3:5]]
    assert lines[2]["clients"] != lines[5]["clients"]
    assert not any("loop" in line for line in lines[:4])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (('arms=[{name="L", replan=2}]',), "'L': replan says when to synthesise more, so it needs"),
        (
            ('arms=[{name="L", replan=1, augment=true}]', "data.source=rows.csv", "model=mlp"),
            "'L' asks for synthetic images, but data.source 'rows.csv' is a table",
        ),
    ],
)
def test_a_loop_without_synthesis_is_refused(
    small: Small, settings: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        small(*settings)
