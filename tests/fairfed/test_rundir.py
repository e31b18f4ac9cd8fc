"""The run directory's log: which lines are kept, and where lines end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from fairfed.config import Config
from fairfed.files import json_lines
from fairfed.rundir import RunDirectory
from fairfed.shared_space.outcome import rounds_by_variant

ODD = "lost\u2028cable\u0085at\u2029noon"


def test_rounds_with_odd_line_ends_in_their_texts_are_kept(small: Callable[..., Config]) -> None:
    config = small()
    arm = config.arms[0]
    directory = RunDirectory(config)
    for number in (1, 2, 3):
        directory.log_round(arm, {"round": number, "clients": [{"error": ODD}]})
    log = directory.path / "rounds.jsonl"
    log.write_text(log.read_text(encoding="utf-8") + '{"arm": "cut sh', encoding="utf-8")
    directory.keep_rounds({arm.name: 2})
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").split("\n") if line]
    assert [line["round"] for line in lines] == [1, 2]
    assert lines[0]["clients"][0]["error"] == ODD


def test_lines_end_at_newlines_alone() -> None:
    assert json_lines(f"{ODD}\n\n{ODD}") == [ODD, ODD]
    assert json_lines("") == []


def test_the_outcome_of_a_shared_space_reads_them(tmp_path: Path) -> None:
    log = tmp_path / "rounds.jsonl"
    line = {"arm": "A", "clients": [{"error": ODD}]}
    log.write_text(json.dumps(line, ensure_ascii=False) + "\n", encoding="utf-8")
    assert rounds_by_variant(log) == {"A": [line]}
