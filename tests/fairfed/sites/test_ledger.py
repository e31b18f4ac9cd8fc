"""The chain of a site's ledger: what breaks it, what does not, and who writes it at a time."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from fairfed.sites.ledger import FIRST, Ledger
from fairfed.sites.ledger_reading import totals, verified
from generators.writing import StoreError

OLD = b'{"time": "2026", "study": "s", "asked": "train", "round": 1, "numbers": {"loss": 1}}\n'


def written(folder: Path, entries: int = 5) -> Ledger:
    ledger = Ledger(folder)
    for number in range(entries):
        ledger.append({"what": f"änswer {number}"})
    return ledger


def wrong(ledger: Ledger) -> str:
    return verified(ledger, "here", None).wrong


def test_each_line_has_the_hash_of_the_line_before(tmp_path: Path) -> None:
    ledger = written(tmp_path / "state")
    raw = ledger.path.read_bytes().splitlines()
    hashes = [FIRST, *(sha256(line).hexdigest() for line in raw)]
    assert [json.loads(line)["before"] for line in raw] == hashes[:-1]
    assert [entry["n"] for entry in ledger.entries()] == [1, 2, 3, 4, 5]
    found = verified(ledger, "here", None)
    assert (found.wrong, found.lines, found.head) == ("", 5, hashes[-1])


def _altered(lines: list[bytes], at: int) -> None:
    lines[at] = lines[at].replace(b"nswer", b"nothing")


def _hashed_anew(lines: list[bytes]) -> None:
    entry = json.loads(lines[1])
    del entry["sha256"]
    body = json.dumps(entry | {"what": "nothing"}).encode()
    lines[1] = body[:-1] + b', "sha256": "' + sha256(body).hexdigest().encode() + b'"}'


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: _altered(lines, 2), "line 3 was altered"),
        (lambda lines: _altered(lines, 4), "line 5 was altered"),
        (_hashed_anew, "line 3 does not follow the line before it, which was altered"),
        (lambda lines: lines.__delitem__(slice(1, 3)), "before line 2, 2 lines were removed"),
        (lambda lines: lines.pop(0), "before line 1, 1 lines were removed"),
        (lambda lines: lines.insert(2, lines[1]), "line 3 does not belong where it stands"),
        (lambda lines: lines.insert(2, OLD[:-1]), "line 3 has no hash and stands behind"),
        (lambda lines: lines.insert(2, b"half a li"), "line 4 does not follow"),
        (lambda lines: lines.__setitem__(2, b'{"what": 1'), "before line 4, 1 lines were removed"),
    ],
)
def test_the_first_line_that_was_tampered_with_is_named(
    tmp_path: Path, change: Callable[[list[bytes]], None], said: str
) -> None:
    ledger = written(tmp_path)
    lines = ledger.path.read_bytes().splitlines()
    change(lines)
    ledger.path.write_bytes(b"\n".join(lines) + b"\n")
    assert wrong(ledger).startswith(said)


def test_what_is_cut_off_the_end_is_seen_by_the_head_alone(tmp_path: Path) -> None:
    ledger = written(tmp_path)
    head = verified(ledger, "here", None).head
    lines = ledger.path.read_bytes().splitlines(keepends=True)
    ledger.path.write_bytes(b"".join(lines[:-1]))
    assert wrong(ledger) == ""
    assert head not in set(ledger.heads())


@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("cut", [1, 40, 10_000])
def test_an_interrupted_line_is_set_aside_and_the_chain_goes_on(
    tmp_path: Path, first: int, cut: int
) -> None:
    ledger = written(tmp_path, first)
    before = ledger.path.read_bytes() if first else b""
    ledger.append({"what": "interrupted"})
    whole = ledger.path.read_bytes()[len(before) :]
    ledger.path.write_bytes(before + whole[:-1][:cut])  # 10,000: all but the end of the line
    ledger.append({"what": "the next"})
    ledger.append({"what": "and one more"})
    found = verified(ledger, "here", None)
    assert (found.wrong, found.lines) == ("", first + 3)
    assert found.interrupted == (cut < len(whole))
    kept = ["interrupted"] if cut >= len(whole) else []
    said = [entry["what"] for entry in ledger.entries()][first:]
    assert said == [*kept, "the next", "and one more"]
    assert ledger.path.read_bytes().startswith(before + whole[:-1][:cut])  # nothing is taken away
    if not kept:  # and what is left of it is vouched for
        changed = ledger.path.read_bytes().replace(whole[:cut] + b"\n", b"x\n", 1)
        ledger.path.write_bytes(changed)
        assert wrong(ledger)


def test_a_ledger_of_an_earlier_version_is_continued(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.path.write_bytes(2 * OLD)
    ledger.append({"asked": "train", "study": "s", "round": 2, "digest": "d", "question": "q"})
    found = verified(ledger, "here", None)
    assert (found.wrong, found.lines, found.unchained) == ("", 3, 2)
    (total,) = totals(ledger.entries())
    assert (total.answers, total.rounds) == (3, 2)
    ledger.path.write_bytes(ledger.path.read_bytes().replace(b'"loss": 1', b'"loss": 2'))
    assert wrong(ledger)  # the last of them is vouched for


def test_long_lines_and_a_long_ledger_end_where_they_end(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for size in (70_000, 1, 200_000, 5):
        ledger.append({"what": "x" * size})
    assert wrong(ledger) == ""


def _write(folder: str, who: int) -> None:
    for number in range(20):
        Ledger(Path(folder)).append({"who": who, "number": number})


def test_two_processes_write_one_chain(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(str(tmp_path), who)) for who in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    ledger = Ledger(tmp_path)
    assert wrong(ledger) == ""
    for who in (1, 2):
        own = [entry["number"] for entry in ledger.entries() if entry["who"] == who]
        assert own == list(range(20))


def test_a_line_that_is_refused_or_does_not_fit_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = written(tmp_path)
    before = ledger.path.read_bytes()

    def refuse(entries: object) -> None:
        raise ValueError("too many")

    with pytest.raises(ValueError, match="too many"):
        ledger.append({"what": "refused"}, refuse)

    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"ledger\.jsonl cannot be written \(No space left"):
        ledger.append({"what": "too much"})
    assert ledger.path.read_bytes() == before
