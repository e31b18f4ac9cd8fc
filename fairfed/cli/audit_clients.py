"""`fairfed audit` of a run whose clients report one figure each: compare the clients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from evaluation.audit.of_clients import audit_clients
from evaluation.report.results_page import write_tables
from fairfed.cli.results import print_results
from semantic.errors import InputError

if TYPE_CHECKING:
    from evaluation.results import ClientValues, Results
    from fairfed.config.audit import AuditConfig

READ = frozenset({"data", "arms", "level", "seed", "title", "out"})
"""Settings that such an audit has a use for."""
NO_GROUPS = (
    "{run}: clients of this run report one figure each and no counts by group, so that {names} "
    "cannot act; leave it out"
)


def print_client_audit(
    config: AuditConfig,
    directory: Path,
    runs: Sequence[Path],
    run: Results,
    values: ClientValues,
) -> None:
    """Compare the clients of a run, print that, and write the report.

    Raises `InputError` if settings ask for what the run does not have.
    """
    if unread := sorted(config.model_fields_set - READ):
        raise InputError(NO_GROUPS.format(run=directory, names=", ".join(unread)))
    out = Path(config.out) if config.out else directory / "audit"
    if config.out and len(runs) > 1:
        out /= directory.resolve().name
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
