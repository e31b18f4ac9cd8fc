"""What is missing, what will be made, what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from fairfed.augmentation.plan import (
    NO_WAY,
    OWN,
    PROTOTYPE,
    Rate,
    carries,
    estimate,
    most_per_cell,
    plan_document,
    planned_cells,
    statuses,
    wanted_cells,
    ways,
)
from fairfed.augmentation.source import Source, with_unsaid
from fairfed.config import PipelineConfig
from fairfed.config.load import parse_model
from fairfed.data import ImageTable
from semantic.errors import InputError

SETTINGS = "[synthesis]\nper_class = 10\ncell_target = 4\n"


def _config(*overrides: str) -> PipelineConfig:
    return parse_model(PipelineConfig, SETTINGS, "x.toml", overrides)


def _source(cells: list[list[int]], groups: tuple[str, ...]) -> Source:
    """Training images by cell, and one test image of the first cell."""
    counts = np.array(cells)
    labels, held = np.repeat(np.argwhere(counts >= 0), counts.ravel(), 0).T
    table = ImageTable(
        images=np.zeros((len(labels) + 1, 2, 2, 3), np.uint8),
        labels=np.append(labels, 0),
        groups=np.append(held, 0),
        test=np.append(np.zeros(len(labels), bool), True),
        classes=tuple("abcd"[: len(counts)]),
        group_names=groups,
    )
    return Source(table, "digest", table)


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ("missing", [[0, 4], [5, 5], [0, 0]]),
        ("short", [[0, 4], [5, 5], [3, 0]]),
        ("all", [[5, 5], [5, 5], [5, 5]]),
    ],
)
def test_missing_classes_missing_cells_and_short_ones(cells: str, wanted: list[list[int]]) -> None:
    source = _source([[9, 0], [0, 0], [1, 6]], ("f", "m"))
    assert wanted_cells(_config(f"synthesis.cells={cells}"), source).tolist() == wanted


def test_cells_of_an_unknown_group_are_never_filled() -> None:
    source = _source([[1, 0, 5], [0, 0, 3], [0, 0, 0]], ("f", "m", "missing"))
    # A class that has images of unknown group only is no missing class: its cells are short.
    assert wanted_cells(_config(), source).tolist() == [[3, 4, 0], [4, 4, 0], [5, 5, 0]]
    assert statuses(_config(), source)[:, 2].tolist() == ["unnamed"] * 3


def test_crossed_groups_with_one_unknown_value_are_not_filled_either() -> None:
    source = _source([[0, 9]], ("f × missing", "f × old"))
    assert wanted_cells(_config(), source).tolist() == [[0, 0]]


def test_data_whose_groups_are_all_unknown_is_refused() -> None:
    with pytest.raises(InputError, match="every row lacks a sensitive value"):
        wanted_cells(_config(), _source([[3]], ("missing",)))


def test_every_cell_has_a_status() -> None:
    source = _source([[9, 0], [0, 0], [1, 6]], ("f", "m"))
    assert statuses(_config(), source).tolist() == [
        ["full", "missing cell"],
        ["missing class", "missing class"],
        ["short", "full"],
    ]


def test_the_cost_counts_what_the_store_has_and_what_may_be_replaced() -> None:
    wanted, tries = np.array([[10, 0], [5, 5]]), np.array([[2.0, 2.0], [1.5, 1.0]])
    cost = estimate(wanted, 4, Rate(0.5, 1000.0), tries, 50_000.0)
    assert (cost["images"], cost["in_store"], cost["to_make"]) == (20, 4, 16)
    assert cost["to_make_at_most"] == 20 + 8 + 5 - 4
    assert (cost["seconds"], cost["seconds_at_most"]) == (8.0, 14.5)
    assert cost["disk_mb"] == pytest.approx((29 + 20) * 1000 / 1e6 + 0.05, abs=0.006)


def test_most_that_are_judged_is_not_exceeded_by_rounding() -> None:
    wanted, tries = np.array([[50, 0], [5, 3]]), np.array([[1.1, 2.0], [1.5, 1.0]])
    assert most_per_cell(wanted, tries).tolist() == [[55, 0], [8, 3]]
    assert estimate(wanted, 0, None, tries, 0.0)["to_make_at_most"] == 66


def test_an_unknown_rate_is_said_to_be_unknown() -> None:
    cost = estimate(np.array([[1]]), 0, None, np.array([[1.0]]), 0.0)
    assert (cost["seconds"], cost["disk_mb"]) == (None, None)


def test_a_plan_is_read_back_and_refused_for_other_data() -> None:
    source = _source([[9, 0], [0, 0]], ("f", "m"))
    wanted = wanted_cells(_config(), source)
    plan = plan_document(_config(), source, wanted, {(0, 1): "a photo"}, {})
    assert planned_cells(plan, source).tolist() == wanted.tolist()
    assert [row["prompt"] for row in plan["cells"]] == [None, "a photo", None, None]
    with pytest.raises(InputError, match="have changed since the plan was made"):
        planned_cells(plan, Source(source.table, "another", source.table))


UNSEEN = "a × day", "a × lamp", "b × day", "b × lamp"
"""Groups of a colour, which prompts name, and of light, which they cannot."""


def test_groups_that_prompts_cannot_name_come_by_what_carries_them() -> None:
    source = with_unsaid(_source([[9, 1, 0, 0], [0, 0, 0, 0], [0, 2, 3, 0]], UNSEEN), (1,))
    assert source.table.group_names == (*UNSEEN, "a × all", "b × all")
    assert source.spoken["b × lamp"] == "b × all"
    started = _config("conditioning.start_from_real=true")
    # From own images where the cell has some; without regard to light what no image shows at all.
    wanted = [[0, 3, 0, 0, 0, 4], [0, 0, 0, 0, 5, 5], [0, 2, 1, 0, 0, 0]]
    assert wanted_cells(started, source).tolist() == wanted
    assert ways(started, source)[2].tolist() == [NO_WAY, OWN, OWN, NO_WAY, "", ""]
    assert statuses(started, source)[2].tolist() == [
        "missing cell", "short", "short", "missing cell", "full", "full"
    ]  # fmt: skip
    by_prototype = _config("conditioning.mode=prototype", "conditioning.minimum=3")
    assert ways(by_prototype, source)[2].tolist() == [NO_WAY, NO_WAY, PROTOTYPE, NO_WAY, "", ""]
    assert wanted_cells(by_prototype, source)[2].tolist() == [0, 0, 1, 0, 0, 0]
    assert [carries(config) for config in (_config(), started, by_prototype)] == [
        False, True, True
    ]  # fmt: skip
    released = _config("conditioning.mode=prototype", "conditioning.epsilon=1")
    assert not carries(released)


def test_where_prompts_name_all_groups_nothing_needs_to_carry_them() -> None:
    source = _source([[1, 0]], ("f", "m"))
    assert ways(_config("conditioning.start_from_real=true"), source).tolist() == [["", ""]]
    assert source.spoken == {}
