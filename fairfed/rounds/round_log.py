"""The log `rounds.jsonl` against the checkpoints: which lines stand, and what is missing."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from semantic.errors import InputError

logger = logging.getLogger("fairfed")

DAMAGED = (
    "{log} does not go with the checkpoints: {problems}. Bring the lines back from a copy, or "
    "delete {files} to train {what} anew"
)
MISSING = "arm {arm!r} has no line of round {rounds}, and its checkpoint is of round {last}"
MISPLACED = "arm {arm!r} has round {found} in line {line}, which is logged twice or out of order"
UNREADABLE = "line {lines} cannot be read"
SHOWN = 5
"""Numbers that a message lists before it says how many more there are."""


@dataclass
class _Log:
    """What a log holds."""

    # For each arm with a checkpoint, the numbers of its lines and their rounds.
    places: dict[str, list[tuple[int, int]]]
    kept: list[bytes] = field(default_factory=list)  # lines up to the checkpoints
    unreadable: list[int] = field(default_factory=list)  # numbers of lines that are no round
    # Number of a last line without its end, which a killed process was writing; 0 without one.
    torn: int = 0


def lines_to_keep(
    log: Path, finished: Mapping[str, int], checkpoint: Callable[[str], Path]
) -> bytes:
    """What a log holds up to the checkpoints; the rounds after them will be run again.

    The log need not be there. `finished` is, for each arm, the round of its checkpoint (0 without
    one). Raises `InputError` if an arm's lines are not those of the rounds 1, 2, … of its
    checkpoint.
    """
    found = _read(log, finished)
    problems = {arm: _problem(arm, finished[arm], found.places[arm]) for arm in finished}
    bad = {arm: problem for arm, problem in problems.items() if problem}
    if bad:
        said = list(bad.values())
        if found.unreadable:
            said.append(UNREADABLE.format(lines=_listed(found.unreadable)))
        files = ", ".join(str(checkpoint(arm)) for arm in bad)
        what = "that arm" if len(bad) == 1 else "those arms"
        raise InputError(DAMAGED.format(log=log, problems="; ".join(said), files=files, what=what))
    for number in found.unreadable:
        if number != found.torn:
            logger.warning("%s line %d cannot be read and is of no use: dropped", log, number)
    return b"".join(line + b"\n" for line in found.kept)


def _read(log: Path, finished: Mapping[str, int]) -> _Log:
    """Sort a log's lines."""
    lines = log.read_bytes().split(b"\n") if log.is_file() else [b""]
    found = _Log({arm: [] for arm in finished}, torn=len(lines) if lines[-1] else 0)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = _place(line)
        if place is None:
            found.unreadable.append(number)
        elif place[1] <= finished.get(place[0], 0):
            found.places[place[0]].append((number, place[1]))
            found.kept.append(line)
    return found


def _place(line: bytes) -> tuple[str, int] | None:
    """Arm and round of a line; None if it is no round."""
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):  # among them bytes that are no UTF-8
        return None
    if not isinstance(row, dict):
        return None
    arm, number = row.get("arm"), row.get("round")
    if not isinstance(arm, str) or type(number) is not int or number < 1:
        return None
    return arm, number


def _problem(arm: str, last: int, places: list[tuple[int, int]]) -> str:
    """What is wrong with an arm's lines; empty if nothing is."""
    logged = {number for _, number in places}
    missing = [number for number in range(1, last + 1) if number not in logged]
    if missing:
        return MISSING.format(arm=arm, rounds=_listed(missing), last=last)
    for expected, (line, number) in enumerate(places, start=1):
        if number != expected:
            return MISPLACED.format(arm=arm, found=number, line=line)
    return ""


def _listed(numbers: list[int]) -> str:
    """Numbers in words, the first few of many."""
    text = ", ".join(map(str, numbers[:SHOWN]))
    return text if len(numbers) <= SHOWN else f"{text} and {len(numbers) - SHOWN} more"
