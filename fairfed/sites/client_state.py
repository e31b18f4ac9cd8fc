"""What a real site remembers of a study from round to round: on its own disk, a round at a time.

Flower keeps a client's state in the memory of one process, and a new run begins with an empty one;
a checkpoint of the server would have it, which is not the server's. Here it is the site's. A server
that was killed asks for a round again: the site then begins that round from what it knew before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flwr.app import RecordDict

from evaluation.files import write_whole
from fairfed.engines.private import records_from_bytes, records_to_bytes
from fairfed.sites.request import EXCHANGE
from generators.writing import explained
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.sites.request import Request

LOST = (
    "{path} is damaged ({error}), and what the site remembered of this study is lost; remove it to "
    "go on without: personal models and corrections then begin anew"
)


@dataclass(frozen=True)
class _Step:
    """The state after an answer, and which answer that was."""

    run: int
    round: int
    exchange: int
    records: bytes

    def precedes(self, run: int, number: int, exchange: int) -> bool:
        """Whether a request comes after this answer, and not again in its place.

        Another run of the server that asks for the same round asks for it anew.
        """
        if self.round != number:
            return self.round < number
        return self.run == run and (exchange == 0 or self.exchange < exchange)


@contextmanager
def own_state(request: Request, folder: Path) -> Iterator[None]:
    """Give a request's context the state that the site has on its disk, and keep what comes of it.

    Nothing is kept where the block raises. The engine is left with an empty state. `folder` is the
    site's, of the study. Raises `InputError` if the state cannot be read or written.
    """
    slug = str(request.sent.get("arm", "")) or "study"
    path = folder / "clients" / f"{slug}.state"
    run, number = request.message.metadata.run_id, request.round
    exchange = int(request.sent.get(EXCHANGE, 0))  # type: ignore[arg-type]
    steps = _read(path)
    if number:
        steps = [step for step in steps if step.precedes(run, number, exchange)]
    before = steps[-1].records if steps else records_to_bytes(request.context.state)
    try:
        request.context.state = records_from_bytes(before)
    except ValueError as error:
        raise InputError(LOST.format(path=path, error=error)) from error
    yield
    after = records_to_bytes(request.context.state)
    request.context.state = RecordDict()
    if after == before and steps:
        return
    if number == 0 and steps:  # asked outside of the rounds: what the last one left is replaced
        last = steps.pop()
        run, number, exchange = last.run, last.round, last.exchange
    same = [step for step in steps if step.round == number]
    earlier = [step for step in steps if step.round != number][-1:]
    _write(path, [*earlier, *same, _Step(run, number, exchange, after)])


def _read(path: Path) -> list[_Step]:
    """The steps of a file: a line of JSON says how long each is, and they follow."""
    if not path.is_file():
        return []
    try:
        head, _, body = path.read_bytes().partition(b"\n")
        steps, start = [], 0
        for run, number, exchange, size in json.loads(head):
            steps.append(_Step(run, number, exchange, body[start : start + size]))
            start += size
        if start != len(body):
            raise ValueError(f"{len(body)} bytes of {start}")
    except (ValueError, TypeError) as error:
        raise InputError(LOST.format(path=path, error=error)) from error
    return steps


def _write(path: Path, steps: list[_Step]) -> None:
    head: list[Any] = [[one.run, one.round, one.exchange, len(one.records)] for one in steps]
    body = b"".join(one.records for one in steps)
    with explained(path):
        write_whole(path, json.dumps(head).encode() + b"\n" + body)
