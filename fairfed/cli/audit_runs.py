"""The runs that `fairfed audit` is given: which of their arms, counted before or asked anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from evaluation.audit.from_counts import run_tally
from evaluation.audit.noise import without_negative
from evaluation.audit.of_clients import audit_clients
from evaluation.audit.release import Release, release_notes
from evaluation.audit.schema import Schema
from evaluation.audit.tally import Tally
from evaluation.records import Run
from evaluation.report.results_page import write_tables
from evaluation.results import ClientValues, Results, read_results, system_of
from evaluation.results_run import counted_run, read_results_run
from evaluation.run import read_run
from fairfed.cli.audit_settings import READ_NAMES
from fairfed.cli.results import print_results
from fairfed.config.arms import slug
from fairfed.config.audit import AuditConfig
from semantic.errors import InputError

BINS = 1024
"""Of the scores in counts that leave a site, unless another number is asked for."""
RUN_FILE = "federation.json"
"""By which the directory of a run is recognised."""
NO_RUN = "{run} is a run and {other} is none: audit runs apart from files of predictions"
SAME_NAME = (
    "several of these runs have one name, and {out} would keep the last alone: leave out --out, or "
    "audit them apart"
)
NOT_OF_A_RUN = (
    "{run} is a run, whose rounds hold counts already: leave out what says how files of "
    "predictions are read ({names})"
)
CANNOT_ASK = (
    "{run}: --ask is for runs of arms; what this run's clients have counted is audited without it"
)
NOTHING = "{run}: nothing to audit in a run of [{system}]: {reason}"
READ = frozenset({"data", "arms", "level", "seed", "title", "out"})
"""Settings that such an audit has a use for."""
NO_GROUPS = (
    "{run}: clients of this run report one figure each and no counts by group, so that {names} "
    "cannot act; leave it out"
)


@dataclass(frozen=True)
class Subject:
    """Counts to audit, and what a report says about them."""

    tally: Tally
    title: str
    directory: Path
    source: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_runs(config: AuditConfig, runs: Sequence[Path], paths: Sequence[Path]) -> None:
    """Refuse what does not go with runs: options of how rows are read, files beside them."""
    set_here = config.model_fields_set - {"bins"}
    unread = ", ".join(name for name in READ_NAMES if name in set_here)
    if unread:
        raise InputError(NOT_OF_A_RUN.format(names=unread, run=runs[0]))
    other = next((path for path in paths if path not in runs), None)
    if other is not None:
        raise InputError(NO_RUN.format(run=runs[0], other=other))
    if config.out and len({run.resolve().name for run in runs}) < len(runs):
        raise InputError(SAME_NAME.format(out=config.out))


def subjects_of(
    config: AuditConfig, directory: Path, runs: Sequence[Path], check: Callable[[Schema], None]
) -> list[Subject]:
    """What is audited of one of some runs: each of its arms, or those that are named.

    Before its clients are asked, `check` sees what an arm's counts hold.
    """
    run = _read(directory)
    if config.ask and system_of(directory):
        raise InputError(CANNOT_ASK.format(run=directory))
    arms = config.arms or tuple(arm.name for arm in run.arms)
    out = _report_of(config, directory, runs)
    found = []
    for arm in arms:
        tally, notes = run_tally(run, arm)
        check(tally.schema)
        subject = Subject(
            tally,
            f"{config.title}: {run.name}, {arm}",
            out if len(arms) == 1 else out / slug(arm),
            (str(directory),),
            notes,
        )
        found.append(_asked(config, directory, arm, subject) if config.ask else subject)
    return found


def is_run(path: Path) -> bool:
    """Whether a path is the directory of a run, of arms or of another system."""
    return (path / RUN_FILE).is_file() or system_of(path) is not None


def client_results(run_dir: Path) -> tuple[Results, ClientValues] | None:
    """Results of a run of whose clients there is one figure each; None with counts by group."""
    if system_of(run_dir) is None:
        return None
    found = read_results(run_dir)
    if found.counts is not None:
        return None
    if found.clients is None:
        raise InputError(NOTHING.format(run=run_dir, system=found.system, reason=found.unaudited))
    return found, found.clients


def print_client_audit(
    config: AuditConfig,
    directory: Path,
    runs: Sequence[Path],
    run: Results,
    values: ClientValues,
) -> None:
    """Compare a run's clients, print and report it; refuses settings for which it has no use."""
    if unread := sorted(config.model_fields_set - READ):
        raise InputError(NO_GROUPS.format(run=directory, names=", ".join(unread)))
    out = _report_of(config, directory, runs)
    found = audit_clients(
        run,
        values,
        title=config.title,
        methods=config.arms,
        level=config.level,
        seed=config.seed,
    )
    written = write_tables(found, out, "report", "fairfed audit")
    console = Console()
    print_results(found, console)
    console.print(f"Report: {written['html']}", markup=False, soft_wrap=True)


def _report_of(config: AuditConfig, directory: Path, runs: Sequence[Path]) -> Path:
    """Where the reports of one of some runs are written."""
    out = Path(config.out) if config.out else directory / "audit"
    return out / directory.resolve().name if config.out and len(runs) > 1 else out


def _read(directory: Path) -> Run:
    """A run with counts by group, whatever its system."""
    if system_of(directory) is None:
        return read_run(directory)
    return counted_run(read_results_run(directory))


def _asked(config: AuditConfig, directory: Path, arm: str, subject: Subject) -> Subject:
    """The same from the run's clients, asked anew, with scores."""
    # Flower and torch: not for files of predictions.
    from fairfed.cli.audit_asking import audit_run

    found = audit_run(
        directory,
        arm,
        bins=config.bins or BINS,
        epsilon=config.epsilon,
        delta=config.delta,
        min_cell=config.min_cell,
    )
    notes = (f"Counts of arm {arm}: its clients were asked about the checkpoint's model.",)
    return protected(found.tally, found.releases, replace(subject, notes=notes))


def protected(tally: Tally, releases: Sequence[Release], subject: Subject) -> Subject:
    """Counts that may carry noise, as metrics need them, and what was done to them."""
    notes = (*subject.notes, *release_notes(releases))
    return replace(subject, tally=without_negative(tally), notes=notes)
