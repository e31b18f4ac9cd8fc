"""What the commands of `fairfed audit` do: read, protect, merge, audit, judge, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from evaluation.audit.batches import column_names
from evaluation.audit.counts_file import merge_counts, write_counts, write_merged
from evaluation.audit.files import find_files
from evaluation.audit.gate import check_gate, parse_condition
from evaluation.audit.gate_names import Condition, names_in, names_of
from evaluation.audit.junit import junit_xml
from evaluation.audit.noise import protect
from evaluation.audit.outcome import Audit
from evaluation.audit.read import Reading, read_files
from evaluation.audit.report import CARD, write_reports
from evaluation.audit.run import audit
from evaluation.audit.schema import Schema
from evaluation.audit.vocabulary import check_positive
from evaluation.files import write_whole
from fairfed.cli.audit_runs import (
    BINS,
    Subject,
    check_runs,
    client_results,
    is_run,
    print_client_audit,
    protected,
    subjects_of,
)
from fairfed.cli.audit_settings import (
    NO_DATA,
    audit_options,
    declared_names,
    needs_columns,
    read_settings,
    with_columns,
)
from fairfed.cli.audit_tables import print_audit, print_counts
from fairfed.cli.outputs import check_output
from fairfed.config.audit import AuditConfig
from semantic.errors import InputError

ONLY_RUNS = "{option} is for the directory of a run; {data} is none"
CLIENTS_NAMED = "--site names the site that counts; the column {client!r} names clients already"
NO_FILE = "--junit {path}: is a directory; give the path of a file"
CARD_KEPT = (
    "Model card: {path}; the model_card.md beside it has no marks of fairfed and was left as it is"
)
AUTO_CUTS = "counts of different sites need the same cut points: state --cuts, leave out auto_cuts"


def audit_here(config: AuditConfig) -> bool:
    """Audit files, or the arms of a run; says whether every condition of the gate held."""
    if not config.data:
        raise InputError(NO_DATA)
    _check_verdict(config)
    if config.sensitive:
        _check_names(config)
    paths = [Path(name) for name in config.data]
    runs = [path for path in paths if is_run(path)]
    if runs:
        check_runs(config, runs, paths)
        found = {run: client_results(run) for run in runs}
        for run, own in found.items():
            if own is not None:
                print_client_audit(config, run, runs, *own)
        counted = [run for run, own in found.items() if own is None]
        check = partial(_check_names, config)
        subjects = [own for run in counted for own in subjects_of(config, run, runs, check)]
        return _audited(config, subjects)
    for option, given in (("--arm", config.arms), ("--ask", config.ask)):
        if given:
            raise InputError(ONLY_RUNS.format(option=option, data=config.data[0]))
    reading = _read(config)
    directory = Path(config.out or "audit")
    subject = Subject(reading.tally, config.title, directory, reading.source, reading.notes)
    return _audited(config, [subject])


def count_here(config: AuditConfig, path: Path, force: bool = False) -> None:
    """Write the counts of a site's rows, protected as the settings say; `force` replaces a file."""
    check_output(path, force)
    if not config.data:
        raise InputError(NO_DATA)
    if config.auto_cuts:
        raise InputError(AUTO_CUTS)
    if config.site is not None and config.client is not None:
        raise InputError(CLIENTS_NAMED.format(client=config.client))
    reading = _read(config.model_copy(update={"bins": config.bins or BINS}))
    tally = reading.tally
    check_positive(tally)
    if config.site is not None:
        tally = replace(tally, schema=replace(tally.schema, clients=(config.site,)))
    tally, release = protect(
        tally,
        epsilon=config.epsilon,
        delta=config.delta,
        min_cell=config.min_cell,
        declared=declared_names(config),
    )
    write_counts(path, tally, release)
    print_counts(Console(), tally, release, reading.notes, path)


def merge_here(
    config: AuditConfig, files: Sequence[Path], merged_to: Path | None, force: bool = False
) -> bool:
    """Add up files of counts and audit the sum; says whether every condition of the gate held."""
    _check_verdict(config)
    if merged_to is not None:
        check_output(merged_to, force, "--counts")
    merged = merge_counts(files)
    _check_names(config, merged.tally.schema)
    if merged_to is not None:
        write_merged(merged_to, merged)
    source = tuple(str(path) for path in files)
    subject = Subject(merged.tally, config.title, Path(config.out or "audit"), source)
    return _audited(config, [protected(merged.tally, merged.releases, subject)])


def _read(config: AuditConfig) -> Reading:
    files, _ = find_files(config.data)  # of a mistyped path, that is what is to be said first
    if needs_columns(config):
        config = with_columns(config, column_names(files[0], _columns(config)))
    settings = read_settings(config)
    console = Console(stderr=True)
    with console.status("Counting") as status:
        return read_files(
            config.data,
            settings,
            lambda path, rows: status.update(f"Counting {path}: {rows:,} rows"),
        )


def _columns(config: AuditConfig) -> list[str]:
    """Names of columns that settings may mean."""
    score = [config.score] if isinstance(config.score, str) else []
    named = (config.truth, config.prediction, config.client, config.weight)
    return [*filter(None, named), *config.sensitive, *score]


def _check_verdict(config: AuditConfig) -> None:
    """Find a mistake in the gate or its file, which shall not show after minutes of reading."""
    _conditions(config)
    if config.junit is not None and Path(config.junit).is_dir():
        raise InputError(NO_FILE.format(path=config.junit))


def _check_names(config: AuditConfig, schema: Schema | None = None) -> None:
    """Find conditions on what will not be there, as far as the settings, or a schema, tell."""
    options = audit_options(config)
    if schema is not None:
        known = names_in(schema, options, scored=config.ask)
    else:
        scored = config.score is not None
        classes = len(config.classes) or 2
        known = names_of(config.task, config.sensitive, options, scored=scored, classes=classes)
    check_gate(_conditions(config), known)


def _conditions(config: AuditConfig) -> list[Condition]:
    return [parse_condition(text) for text in config.fail_on]


def _audited(config: AuditConfig, subjects: Sequence[Subject]) -> bool:
    """Audit, judge, print and report; only then an `InputError` for what could not be judged."""
    conditions = _conditions(config)
    console, audits = Console(), []
    for subject in subjects:
        with Console(stderr=True).status("Auditing"):
            found = audit(
                subject.tally,
                audit_options(config),
                title=subject.title,
                source=subject.source,
                notes=subject.notes,
                gate=conditions,
            )
        written = write_reports(found, subject.directory)
        print_audit(console, found)
        console.print(f"Report: {written['html']}", markup=False, soft_wrap=True)
        if written["card"].name != CARD:
            console.print(CARD_KEPT.format(path=written["card"]), markup=False, soft_wrap=True)
        console.print()
        audits.append(found)
    if config.junit is not None:
        _write_junit(Path(config.junit), audits)
    verdicts = [verdict for found in audits for verdict in found.gate]
    if unknown := [verdict.message for verdict in verdicts if not verdict.audited]:
        raise InputError("\n".join(unknown))
    return all(verdict.held for verdict in verdicts)


def _write_junit(path: Path, audits: Sequence[Audit]) -> None:
    """One suite of each audit."""
    from xml.etree import ElementTree

    texts = [junit_xml(found) for found in audits]
    if len(texts) == 1:
        write_whole(path, texts[0].encode())
        return
    root = ElementTree.Element("testsuites")
    for text in texts:
        parsed = ElementTree.fromstring(text)
        root.extend(parsed if parsed.tag == "testsuites" else [parsed])
    write_whole(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
