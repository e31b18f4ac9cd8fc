"""Read a run directory; its schema is documented in docs/report.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from evaluation.errors import InputError
from evaluation.fields import Fields, read_object
from evaluation.gallery import gallery_split, read_gallery
from evaluation.records import (
    Arm,
    ClientRound,
    ClientSynthesis,
    LoopPlan,
    Round,
    Run,
    Split,
    Synthesis,
)
from evaluation.results import system_of

NO_ARMS = (
    "{path}: a run of [{section}] compares no arms, so there is none to read here; its findings "
    "are those of evaluation.results.read_results, and of `fairfed report`, `compare` and `audit`"
)


def refuse_results(run_dir: Path) -> None:
    """Refuse the directory of a run that compares no arms, but has results of another kind.

    Raises
    ------
    InputError
        If its ``config.toml`` has a section of `evaluation.results.SYSTEMS`.
    """
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
    top = read_object(run_dir / "federation.json")
    classes, groups = top.names("classes"), top.names("groups")
    splits = _splits(top, len(classes), len(groups))
    arms = _arms(top, splits)
    cells = (len(classes), len(groups))
    clients = {arm.name: splits[arm.split].clients for arm in arms}
    history, notes = read_rounds(run_dir / "rounds.jsonl", clients, cells)
    return Run(
        path=run_dir,
        name=top.text("name"),
        seed=top.integer("seed"),
        classes=classes,
        groups=groups,
        sensitive=top.text_or_none("sensitive"),
        rounds=top.integer("rounds"),
        engine=top.text("engine"),
        versions={key: str(value) for key, value in top.mapping("versions").items()},
        arms=arms,
        splits=splits,
        history=history,
        synthesis=_synthesis(run_dir / "synthetic" / "clients.json", cells),
        gallery=read_gallery(run_dir, classes, groups),
        gallery_split=gallery_split(run_dir),
        config_text=_config(run_dir / "config.toml"),
        notes=(*top.strings("remarks"), *notes),
        warnings=top.strings("warnings"),
        unit=top.text_or_none("unit") or "images",
        unknown=top.strings("unknown"),
        clients=top.strings("clients"),
    )


def _splits(top: Fields, n_classes: int, n_groups: int) -> dict[str, Split]:
    found = {}
    for name, value in top.mapping("splits").items():
        fields = Fields(value, f"{top.where}, splits.{name}")
        train = fields.counts("train", (None, n_classes, n_groups))
        test = fields.counts("test", (train.shape[0], n_classes, n_groups))
        found[name] = Split(name, train, test)
    return found


def _arms(top: Fields, splits: dict[str, Split]) -> tuple[Arm, ...]:
    arms: list[Arm] = []
    for fields in top.objects("arms"):
        arm = Arm(
            name=fields.text("name"),
            rule=fields.text("rule"),
            augment=fields.flag("augment", False),
            domain_matching=fields.flag("domain_matching", False),
            split=fields.text("split"),
            reference=fields.flag("reference", False),
            own_models=fields.flag("own_models", False),
            as_published=fields.flag("as_published", False),
        )
        if arm.split not in splits:
            raise fields.error("split", f"one of {sorted(splits)}", arm.split)
        if arm.name in {other.name for other in arms}:
            raise fields.error("name", "a name no other arm has", arm.name)
        arms.append(arm)
    if not arms:
        raise InputError(f"{top.where}: field 'arms': expected at least one arm")
    return tuple(arms)


def read_rounds(
    path: Path, clients: Mapping[str, int] | None, cells: tuple[int, int] | None
) -> tuple[dict[str, tuple[Round, ...]], tuple[str, ...]]:
    """The finished rounds of every arm, and what a reader must know about the file.

    Parameters
    ----------
    path : Path
        ``rounds.jsonl``; a last line that is cut short is dropped and noted.
    clients : mapping of str to int, optional
        Number of clients by arm; None where the lines alone say which arms there are.
    cells : (int, int), optional
        Numbers of classes and groups; None where no test counts are read.

    Raises
    ------
    InputError
        If a line is malformed; names it and the field.
    """
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
            value = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):  # no newline after it: it is still being written
                notes.append(f"{where} is cut short and was left out: the run is under way.")
                continue
            raise InputError(f"{path} line {number}: is no JSON ({error.msg})") from error
        entry = _round(Fields(value, where), clients, cells)
        _append(rounds.setdefault(entry.arm, []), entry, where)
    return {name: tuple(entries) for name, entries in rounds.items()}, tuple(notes)


def _append(entries: list[Round], entry: Round, where: str) -> None:
    expected = entries[-1].number + 1 if entries else 1
    if entry.number != expected:
        raise InputError(
            f"{where}: arm '{entry.arm}' has round {entry.number}, expected round {expected}: "
            "lines are missing or repeated"
        )
    entries.append(entry)


def _round(
    fields: Fields, clients: Mapping[str, int] | None, cells: tuple[int, int] | None
) -> Round:
    arm = fields.text("arm")
    if clients is not None and arm not in clients:
        raise fields.error("arm", f"one of {sorted(clients)}", arm)
    most = None if clients is None else clients[arm]
    entries = tuple(_client(entry, most, cells) for entry in fields.objects("clients"))
    if len({entry.client for entry in entries}) < len(entries):
        raise fields.error("clients", "each client once", "a client twice")
    return Round(
        arm,
        fields.integer("round"),
        fields.number_or("seconds", 0.0),
        entries,
        None if cells is None else _loop(fields.part_or_none("loop"), cells),
    )


def _loop(fields: Fields | None, cells: tuple[int, int]) -> LoopPlan | None:
    if fields is None:
        return None
    spent = fields.part_or_none("spent")
    return LoopPlan(
        lower=fields.numbers("lower", cells),
        asked=fields.counts("asked", cells),
        cumulative=fields.counts("cumulative", cells),
        generated=spent.integer_or("generated", 0) if spent else 0,
        reused=spent.integer_or("reused", 0) if spent else 0,
        change=fields.numbers_or_none("change", cells),
    )


def _client(fields: Fields, most: int | None, cells: tuple[int, int] | None) -> ClientRound:
    client = fields.integer("client")
    if client < 0 or (most is not None and client >= most):
        raise fields.error("client", f"an index in 0..{'' if most is None else most - 1}", client)
    shape = None if cells is None else (cells[1], cells[0], cells[0])
    return ClientRound(
        client=client,
        name=fields.text_or_none("name"),
        error=fields.text_or_none("error"),
        n_real=fields.integer_or("n_real", 0),
        n_synthetic=fields.integer_or("n_synthetic", 0),
        loss=fields.number_or_none("loss"),
        signal=fields.number_or_none("signal"),
        raw_weight=fields.number_or_none("raw_weight"),
        weight=fields.number_or_none("weight"),
        guard=fields.text_or_none("guard"),
        drawn_down=fields.flag_or_none("drawn_down"),
        seconds=fields.number_or("seconds", 0.0),
        bytes_down=fields.integer_or("bytes_down", 0),
        bytes_up=fields.integer_or("bytes_up", 0),
        test_loss=fields.number_or_none("test_loss"),
        test_counts=None if shape is None else fields.counts_or_none("test_counts", shape),
    )


def _synthesis(path: Path, cells: tuple[int, int]) -> Synthesis | None:
    if not path.is_file():
        return None
    top = read_object(path)
    clients = tuple(
        ClientSynthesis(
            client=fields.integer("client"),
            requested=fields.counts("requested", cells),
            accepted=fields.counts("accepted", cells),
            rejected=_reasons(fields),
        )
        for fields in top.objects("clients")
    )
    return Synthesis(
        clients=clients,
        seconds=top.number_or("seconds", 0.0),
        generated=top.integer_or("generated", 0),
        reused=top.integer_or("reused", 0),
        rejected=_reasons(top) if top.part_or_none("rejected") else None,
    )


def _reasons(fields: Fields) -> dict[str, int]:
    rejected = fields.mapping("rejected")
    reasons = Fields(rejected, f"{fields.where}, rejected")
    return {reason: reasons.integer(reason) for reason in rejected}


def _config(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); it belongs to the run") from error
