"""Read a run directory; its schema is documented in docs/report.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from evaluation.audit.tally import CROSSED
from evaluation.errors import InputError
from evaluation.fields import field_error, parse, read_record
from evaluation.records import Gallery, Plan, Round, Run, Synthesis
from evaluation.results import system_of

UNKNOWN = "does not know"
"""Verdict on a generator that a run allowed all the same."""
NO_ARMS = (
    "{path}: a run of [{section}] compares no arms, so there is none to read here; its findings "
    "are those of evaluation.results.read_results, and of `fairfed report`, `compare` and `audit`"
)


def refuse_results(run_dir: Path) -> None:
    """Refuse the directory of a run that compares no arms, but has results of another kind."""
    section = system_of(run_dir)
    if section is not None:
        raise InputError(NO_ARMS.format(path=run_dir, section=section))


def read_run(run_dir: Path) -> Run:
    """Read a run directory, finished or under way.

    Parameters
    ----------
    run_dir : Path
        Directory that `fairfed run` wrote.

    Returns
    -------
    Run
        An arm with no finished round has an empty history; a last line of ``rounds.jsonl`` that is
        cut short (the run is being written) is dropped and noted.

    Raises
    ------
    InputError
        If a file is missing or malformed (names file, line and field), or the run compares no arms.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise InputError(f"{run_dir}: is no directory; give the run directory of `fairfed run`")
    refuse_results(run_dir)
    plan = _plan(run_dir / "federation.json")
    sizes = {"classes": len(plan.classes), "groups": len(plan.groups)}
    clients = {arm.name: plan.splits[arm.split].clients for arm in plan.arms}
    history, notes = read_rounds(run_dir / "rounds.jsonl", clients, tuple(sizes.values()))
    made, gallery = run_dir / "synthetic" / "clients.json", read_gallery(run_dir, plan)
    synthesis = read_record(Synthesis, made, **sizes) if made.is_file() else None
    known, unknown = _verdicts(plan, synthesis) if synthesis else ([], [])
    return Run(
        **vars(replace(plan, warnings=(*plan.warnings, *unknown))),
        path=run_dir,
        history=history,
        synthesis=synthesis,
        gallery=gallery.cells,
        gallery_split=gallery.split,
        config_text=_config(run_dir / "config.toml"),
        notes=(*plan.remarks, *known, *notes),
    )


def _verdicts(plan: Plan, synthesis: Synthesis) -> tuple[list[str], list[str]]:
    """What the clients' generators know, a sentence for each verdict; and what they do not."""
    at: dict[str, dict[str, list[str]]] = {}
    tried: Counter[str] = Counter()
    for client in synthesis.clients:
        i = client.client
        called = plan.clients[i] if i < len(plan.clients) else str(i)
        for name, verdict in (client.known or {}).items():
            at.setdefault(verdict, {}).setdefault(name, []).append(called)
            tried[name] += 1
    lines = {}
    for verdict, names in at.items():
        said = [
            name if len(own) == tried[name] else f"{name} (at {', '.join(own)})"
            for name, own in names.items()
        ]
        lines[verdict] = f"The generator {verdict}: {', '.join(said)}."
    unknown = (
        [f"{lines.pop(UNKNOWN)} What was made of it means little."] if UNKNOWN in lines else []
    )
    return list(lines.values()), unknown


def _plan(path: Path) -> Plan:
    plan = read_record(Plan, path)
    cells = len(plan.classes), len(plan.groups)
    for name, split in plan.splits.items():
        for part, clients in (("train", "any"), ("test", len(split.train))):
            shape = getattr(split, part).shape
            if shape[1:] != cells or clients not in ("any", shape[0]):
                where = f"{path.name}, splits.{name}"
                expected = f"counts of shape [{clients}, {cells[0]}, {cells[1]}]"
                raise field_error(where, part, expected, f"shape {shape}")
    names: set[str] = set()
    for i, arm in enumerate(plan.arms):
        where = f"{path.name}, arms[{i}]"
        if arm.split not in plan.splits:
            raise field_error(where, "split", f"one of {sorted(plan.splits)}", arm.split)
        if arm.name in names:
            raise field_error(where, "name", "a name no other arm has", arm.name)
        names.add(arm.name)
    if not names:
        raise InputError(f"{path.name}: field 'arms': expected at least one arm")
    splits = {name: replace(split, name=name) for name, split in plan.splits.items()}
    return replace(plan, splits=splits)


def read_rounds(
    path: Path, clients: Mapping[str, int] | None, cells: tuple[int, ...] | None
) -> tuple[dict[str, tuple[Round, ...]], tuple[str, ...]]:
    """The finished rounds of every arm, and what a reader must know about ``rounds.jsonl``.

    A last line that is cut short is dropped and noted. `clients` has the number of clients by arm;
    None where the lines alone say which arms there are. `cells` has the numbers of classes and
    groups; None where no test counts are read.
    """
    context: dict[str, Any] = {"counts": False}
    if cells is not None:
        context = {"classes": cells[0], "groups": cells[1]}
    rounds: dict[str, list[Round]] = {arm: [] for arm in clients or ()}
    notes: list[str] = []
    if not path.is_file():
        return dict.fromkeys(rounds, ()), ("rounds.jsonl does not exist yet: no round is over.",)
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no UTF-8 text (byte {error.start})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path.name} line {number}"
        try:
            entry = parse(Round, line, where, **context)
        except json.JSONDecodeError as error:
            if number == len(lines):  # no newline after it: it is still being written
                notes.append(f"{where} is cut short and was left out: the run is under way.")
                continue
            raise InputError(f"{path} line {number}: is no JSON ({error.msg})") from error
        _check_round(entry, clients, where)
        _append(rounds.setdefault(entry.arm, []), entry, where)
    return {name: tuple(entries) for name, entries in rounds.items()}, tuple(notes)


def _check_round(entry: Round, clients: Mapping[str, int] | None, where: str) -> None:
    if clients is not None and entry.arm not in clients:
        raise field_error(where, "arm", f"one of {sorted(clients)}", entry.arm)
    last = None if clients is None else clients[entry.arm] - 1
    for i, own in enumerate(entry.clients):
        if own.client < 0 or (last is not None and own.client > last):
            expected = f"an index in 0..{'' if last is None else last}"
            raise field_error(f"{where}, clients[{i}]", "client", expected, own.client)
    if len({own.client for own in entry.clients}) < len(entry.clients):
        raise field_error(where, "clients", "each client once", "a client twice")


def _append(entries: list[Round], entry: Round, where: str) -> None:
    expected = entries[-1].number + 1 if entries else 1
    if entry.number != expected:
        raise InputError(
            f"{where}: arm '{entry.arm}' has round {entry.number}, expected round {expected}: "
            "lines are missing or repeated"
        )
    entries.append(entry)


def read_gallery(run_dir: Path, plan: Plan) -> Gallery:
    """The gallery, real and synthetic images cell by cell; empty where the run has none.

    It may name no class, group or file that is not the run's.
    """
    path = run_dir / "synthetic" / "gallery.json"
    if not path.is_file():
        return Gallery(())
    found = read_record(Gallery, path, run_dir=run_dir)
    # Where nothing is said of some sensitive columns, their values are "all".
    values = {value for group in plan.groups for value in group.split(CROSSED)} | {"all"}
    for i, cell in enumerate(found.cells):
        where = f"{path.name}, cells[{i}]"
        if cell.class_name not in plan.classes:
            raise field_error(where, "class", f"one of {list(plan.classes)}", cell.class_name)
        if not values.issuperset(cell.group.split(CROSSED)):
            raise field_error(where, "group", f"one of {list(plan.groups)}", cell.group)
    return found


def _config(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); it belongs to the run") from error
