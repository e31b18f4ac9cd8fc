"""What a run of any system found: one value, of which every file, table and page is made.

A system builds a `Results`; `write_results` makes ``results.json`` and ``results.md`` of it, and
``fairfed report``, ``compare`` and ``audit`` read it back with `read_results`.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from evaluation.errors import InputError
from evaluation.export import plain
from evaluation.files import write_whole
from evaluation.intervals import LEVEL, Interval, wilson_interval
from evaluation.numbers import called, duration

FILE = "results.json"
PART = "report"
"""Field of ``results.json`` that holds the `Results`; those beside it are the system's own."""
SYSTEMS = ("zsl", "peers", "specialise", "shared", "heads", "system")
"""Settings of a configuration that ask for a run with results of this kind."""
UNREADABLE = "{path}: is no file of results ({reason}); `fairfed run` writes it anew"
EARLIER = (
    "{path}: was written by an earlier version, without the tables that reports are made of; "
    "`fairfed run {folder}/config.toml` writes it anew and trains nothing again"
)
NOT_YET = "{path}: has no results yet; let `fairfed run` end, which goes on where it stopped"

Kind = Literal["text", "count", "share", "number", "loss", "seconds", "duration", "mb"]
Value = str | int | float | tuple[float | None, float | None] | None
"""A cell; a pair is a mean and its standard deviation, None an undefined number."""
DIGITS: dict[Kind, int] = {"count": 0, "share": 1, "number": 3, "loss": 5, "seconds": 0, "mb": 1}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    title : str
        Its head.
    kind : str
        What its cells are: a ``share`` is in [0, 1] and written in percent.
    better : {"higher", "lower", ""}
        Which is better; a column without is no finding, and not compared between runs.
    digits : int, optional
        After the point; by default those of its kind.
    """

    title: str
    kind: Kind = "share"
    better: Literal["higher", "lower", ""] = ""
    digits: int | None = None

    def text(self, value: Value) -> str:
        """A cell in words, without its unit; an en dash where undefined."""
        if isinstance(value, tuple):
            mean, sd = (self.text(part) for part in value)
            return mean if value[1] is None else f"{mean} ± {sd}"
        if value is None or isinstance(value, str):
            return "–" if value is None else value
        if math.isnan(value):
            return "–"
        if self.kind == "duration":
            return duration(value)
        places = DIGITS[self.kind] if self.digits is None else self.digits
        return f"{100 * value if self.kind == 'share' else value:.{places}f}"

    def sort(self, value: Value) -> float:
        """What a cell sorts by; NaN where undefined."""
        first = value[0] if isinstance(value, tuple) else value
        return float(first) if isinstance(first, int | float) else math.nan


@dataclass(frozen=True)
class Table:
    """Rows of cells under `columns`; leading columns of kind ``text`` name the rows.

    With `total`, the last row is that of all together.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    title: str = ""
    legend: str = ""
    total: bool = False

    @property
    def left(self) -> int:
        """How many columns name the rows."""
        return next((i for i, c in enumerate(self.columns) if c.kind != "text"), len(self.columns))

    def texts(self) -> list[list[str]]:
        """All cells in words."""
        return [
            [column.text(value) for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]


@dataclass(frozen=True)
class Curve:
    """A figure after each round: ``(round, value)`` by method; None where it was not measured."""

    title: str
    lines: dict[str, tuple[tuple[int, float | None], ...]]
    kind: Kind = "share"


@dataclass(frozen=True)
class ClientValues:
    """One figure of every client by method, at the end of the run.

    Parameters
    ----------
    title : str
        What it is, and of which model on which rows.
    values : dict of str to dict of str to float or None
        By method and client.
    rows : dict of str to int
        Rows behind a client's value; empty where clients do not tell.
    """

    title: str
    values: dict[str, dict[str, float | None]]
    kind: Kind = "share"
    better: Literal["higher", "lower"] = "higher"
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def clients(self) -> tuple[str, ...]:
        """Names of the clients of all methods."""
        return tuple(dict.fromkeys(name for own in self.values.values() for name in own))

    def table(self) -> Table:
        """A row for each client."""
        columns = (
            Column("client", "text"),
            *((Column("rows", "count"),) if self.rows else ()),
            *(Column(method, self.kind, self.better) for method in self.values),
        )
        rows = tuple(
            (
                called(name),
                *((self.rows.get(name),) if self.rows else ()),
                *(own.get(name) for own in self.values.values()),
            )
            for name in self.clients
        )
        return Table(columns, rows, "Each client")

    @property
    def counted(self) -> bool:
        """Whether clients tell shares, and of how many rows each."""
        return self.kind == "share" and set(self.clients) <= self.rows.keys()

    def interval(self, method: str, client: str, level: float = LEVEL) -> Interval | None:
        """A client's figure with Wilson's interval; None where it has none."""
        value = self.values[method].get(client)
        if value is None:
            return None
        if not self.counted:
            return Interval(value, math.nan, math.nan, 0, level)
        n = self.rows[client]
        return wilson_interval(round(value * n), n, level)


@dataclass(frozen=True)
class Groups:
    """Names of what test counts by group, ``[group, true, predicted]``, of clients count."""

    classes: tuple[str, ...]
    groups: tuple[str, ...]
    sensitive: tuple[str, ...] = ()


@dataclass(frozen=True)
class Results:
    """What a run found.

    Parameters
    ----------
    name, seed, system, title
        The run's name and seed (None: of several), its section of the configuration, and what
        that is in words.
    about : tuple of str
        Who holds what, in sentences.
    tables : tuple of Table
        The findings; the first is the main one.
    warnings, remarks : tuple of str
        What a reader must know before the tables, and what else there is to tell after them.
    curves : tuple of Curve
        Figures over rounds.
    clients : ClientValues, optional
        A figure of each client.
    counts : Groups, optional
        Where the rows of ``rounds.jsonl`` have ``test_counts``: what they count.
    unaudited : str
        Why there is nothing to audit, and what to do instead; empty where there is.
    privacy : tuple of str
        What left the clients, in sentences.
    data : dict
        The system's own fields of ``results.json``.
    """

    name: str
    seed: int | None
    system: str
    title: str
    tables: tuple[Table, ...]
    about: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()
    clients: ClientValues | None = None
    counts: Groups | None = None
    unaudited: str = ""
    privacy: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


def write_results(results: Results, directory: Path) -> None:
    """Write ``results.json`` and ``results.md``, each whole or not at all."""
    part = {key: value for key, value in asdict(results).items() if key != "data"}
    content = json.dumps({**results.data, PART: plain(part)}, ensure_ascii=False) + "\n"
    write_whole(directory / FILE, content.encode())
    write_whole(directory / "results.md", markdown(results).encode())


def read_results(directory: Path) -> Results:
    """The results of a finished run.

    Raises
    ------
    InputError
        If the run has not ended, or the file is damaged or of an earlier version.
    """
    from pydantic import TypeAdapter, ValidationError

    path = directory / FILE
    if not path.is_file():
        raise InputError(NOT_YET.format(path=directory))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        part = content.pop(PART)
        found: Results = TypeAdapter(Results).validate_python({**part, "data": content})
    except KeyError:
        raise InputError(EARLIER.format(path=path, folder=directory)) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in (PART, *first["loc"]))
        reason = f"field '{where}': {first['msg']}"
        raise InputError(UNREADABLE.format(path=path, reason=reason)) from error
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(UNREADABLE.format(path=path, reason=error)) from error
    return found


def system_of(directory: Path) -> str | None:
    """The system of a run with results of this kind; None for one that compares arms.

    It is told by the configuration, so that it is known while the run is under way.
    """
    try:
        text = (directory / "config.toml").read_text(encoding="utf-8")
        sections = tomllib.loads(text)
    except (OSError, ValueError):  # missing or damaged: whoever needs it says so
        return None
    return next((name for name in SYSTEMS if name in sections), None)


def clients_called(directory: Path, rounds: Sequence[dict[str, Any]]) -> dict[int, str]:
    """Names of a run's clients by index, from ``federation.json`` or else its log of rounds."""
    path = directory / "federation.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        known = [str(name) for name in content.get("clients", ())]
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path}: is no description of a federation ({error})") from error
    rows = [row for line in rounds for row in line.get("clients", ())]
    named = {int(row["client"]): str(row["name"]) for row in rows if row.get("name")}
    return named | dict(enumerate(known))


def markdown(results: Results) -> str:
    """The results as a text."""
    seed = "" if results.seed is None else f", seed {results.seed}"
    lines = [f"# {results.name}: {results.title}{seed}"]
    told = [*results.about, *(f"**{line}**" for line in results.warnings)]
    lines += ["", *(f"- {line}" for line in told)] if told else []
    for table in results.tables:
        heads = [column.title for column in table.columns]
        marks = ["---" if i < table.left else "---:" for i in range(len(heads))]
        lines += ["", *([f"## {table.title}", ""] if table.title else [])]
        lines += [_line(heads), f"|{'|'.join(marks)}|", *map(_line, table.texts())]
        lines += ["", table.legend] if table.legend else []
    lines += ["", *(f"- {line}" for line in results.remarks)]
    return "\n".join(lines).rstrip() + "\n"


def _line(cells: Sequence[str]) -> str:
    written = " | ".join(cell.replace("|", "\\|") for cell in cells)
    return f"| {written} |"
