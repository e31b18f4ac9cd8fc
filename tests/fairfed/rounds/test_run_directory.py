"""The run directory's log: which lines are kept, which damage is refused, and where lines end."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from evaluation.files import json_lines
from fairfed.config import Config
from fairfed.rounds import checkpoint
from fairfed.rounds.run_directory import RunDirectory
from semantic.errors import InputError
from tests.fairfed.runs import logged, play

Small = Callable[..., Config]
ODD = "lost\u2028cable\u0085at\u2029noon"
TWO = "arms=[{name='FedAvg'},{name='FairFed',rule='fairfed'}]"


def _row(number: int, arm: str = "FedAvg") -> bytes:
    return json.dumps({"arm": arm, "round": number, "clients": []}).encode() + b"\n"


@pytest.fixture
def directory(small: Small) -> RunDirectory:
    """A directory of two arms, the first with a checkpoint of round 3."""
    made = RunDirectory(small(TWO))
    arm = made.config.arms[0]
    checkpoint.save(made.checkpoint(arm), checkpoint.Checkpoint(3, {"w": np.zeros(1)}))
    return made


def _kept(directory: RunDirectory, *lines: bytes) -> list[int]:
    """Rounds that are left of these lines."""
    log = directory.path / "rounds.jsonl"
    log.write_bytes(b"".join(lines))
    directory.truncate_log_to_checkpoint(
        {arm.name: directory.finished(arm) for arm in directory.config.arms}
    )
    return [json.loads(line)["round"] for line in log.read_text().splitlines()]


def test_rounds_with_odd_line_ends_in_their_texts_are_kept(small: Small) -> None:
    config = small()
    arm = config.arms[0]
    directory = RunDirectory(config)
    for number in (1, 2, 3):
        directory.log_round(arm, {"round": number, "clients": [{"error": ODD}]})
    log = directory.path / "rounds.jsonl"
    log.write_text(log.read_text(encoding="utf-8") + '{"arm": "cut sh', encoding="utf-8")
    directory.truncate_log_to_checkpoint({arm.name: 2})
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").split("\n") if line]
    assert [line["round"] for line in lines] == [1, 2]
    assert lines[0]["clients"][0]["error"] == ODD
    assert directory.rounds() == lines


def test_a_run_that_has_not_begun_has_no_rounds(small: Small) -> None:
    assert RunDirectory(small()).rounds() == []


def test_rounds_after_the_checkpoint_and_a_torn_end_are_dropped(directory: RunDirectory) -> None:
    whole = [_row(1), _row(2), _row(3)]
    late = [_row(4), _row(1, "FairFed")]
    assert _kept(directory, *whole) == [1, 2, 3]
    assert _kept(directory, *whole, *late, b'{"arm": "FedAvg", "ro') == [1, 2, 3]
    assert _kept(directory, *whole, _row(4)[:-1]) == [1, 2, 3]
    assert _kept(directory, *whole[:2], whole[2][:-1]) == [1, 2, 3]


def test_an_unreadable_line_that_nothing_needs_is_dropped_and_said(
    directory: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    assert _kept(directory, _row(1), b"\xff\xfe\n", _row(2), _row(3)) == [1, 2, 3]
    assert "line 2 cannot be read" in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        b'{"arm": 3}\n',
        b"[1,2]\n",
        b"\xff\xfe\n",
        b'{"arm": "FedAvg", "rou\n',
        b"[" * 100000 + b"\n",
    ],
)
def test_an_unreadable_line_that_a_checkpoint_needs_is_refused(
    directory: RunDirectory, line: bytes
) -> None:
    log = directory.path / "rounds.jsonl"
    with pytest.raises(InputError) as refused:
        _kept(directory, _row(1), line, _row(3), _row(1, "FairFed"))
    said = str(refused.value)
    assert str(log) in said
    assert "'FedAvg' has no line of round 2" in said
    assert "line 2 cannot be read" in said
    assert f"delete {directory.checkpoint(directory.config.arms[0])} to train that arm" in said
    assert log.read_bytes() == b"".join([_row(1), line, _row(3), _row(1, "FairFed")])


@pytest.mark.parametrize(
    ("rounds", "said"),
    [
        ([], "no line of round 1, 2, 3"),
        ([1, 2], "no line of round 3"),
        ([1, 2, 2, 3], "round 2 in line 3"),
        ([1, 3, 2], "round 3 in line 2"),
    ],
)
def test_a_log_with_rounds_missing_or_twice_is_refused(
    directory: RunDirectory, rounds: list[int], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        _kept(directory, *map(_row, rounds))


def test_a_deleted_log_is_refused_and_not_made_anew(directory: RunDirectory) -> None:
    with pytest.raises(InputError, match="no line of round 1, 2, 3"):
        directory.truncate_log_to_checkpoint({"FedAvg": 3})
    assert not (directory.path / "rounds.jsonl").exists()


def test_a_damaged_run_trains_an_arm_anew_once_its_checkpoint_is_gone(small: Small) -> None:
    config = small(TWO)
    play(config)
    whole = logged(config)
    log = config.run_directory / "rounds.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([lines[0], b"[1,2]\n", *lines[2:]]))
    before = log.read_bytes()
    with pytest.raises(InputError, match="fedavg.npz"):
        play(config)
    assert log.read_bytes() == before
    (config.run_directory / "checkpoints" / "fedavg.npz").unlink()
    play(config)
    assert sorted(logged(config), key=str) == sorted(whole, key=str)


def test_lines_end_at_newlines_alone() -> None:
    assert json_lines(f"{ODD}\n\n{ODD}") == [ODD, ODD]
    assert json_lines("") == []


def test_rounds_are_sorted_by_arm_in_the_order_logged(directory: RunDirectory) -> None:
    order = [("FedAvg", 1), ("FairFed", 1), ("FedAvg", 2)]
    (directory.path / "rounds.jsonl").write_bytes(b"".join(_row(n, arm) for arm, n in order))
    found = directory.rounds_by_arm()
    assert {arm: [row["round"] for row in rows] for arm, rows in found.items()} == {
        "FedAvg": [1, 2],
        "FairFed": [1],
    }
