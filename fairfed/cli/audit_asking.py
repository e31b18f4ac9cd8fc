"""Asking the clients of a finished run, started anew in this process, to count its predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.audit.counts_file import CountsFile
from evaluation.run import refuse_results
from fairfed.client import client_app
from fairfed.config import load_config
from fairfed.engines.inprocess import InProcessGrid
from fairfed.rounds import checkpoint
from fairfed.rounds.arrays import encode
from fairfed.rounds.run_directory import arm_of, with_columns
from fairfed.system import simulation_of
from fairfed.systems.classifier.auditing import AuditSettings, audit_clients
from semantic.errors import InputError

if TYPE_CHECKING:
    pass

AT_SITES = (
    "{run}: its rows are at sites, which this command does not start; audit what they have counted "
    "in the run (leave --ask out), or have each site count a model's predictions (fairfed audit "
    "count) and merge the files"
)


def audit_run(
    run_dir: Path, arm_name: str, *, bins: int = 0, timeout: float = 3600.0, **protection: Any
) -> CountsFile:
    """Ask the clients of a finished run, started anew in this process, about an arm's model.

    They have `timeout` seconds. `bins` and `protection` are as in `AuditSettings`. Raises
    `InputError` if the run compares no arms, has no such arm or no checkpoint of it, or its data
    cannot be read.
    """
    refuse_results(run_dir)
    config = load_config(run_dir / "config.toml")
    if config.federation is not None:
        raise InputError(AT_SITES.format(run=run_dir))
    arm = arm_of(run_dir, config, arm_name)
    path = run_dir / "checkpoints" / f"{arm.slug}.npz"
    saved = checkpoint.load(path)
    sites = simulation_of(config)
    study = with_columns(sites.study, run_dir)
    settings = AuditSettings(study, arm, encode(saved.arrays), len(sites.names), bins, **protection)
    with InProcessGrid(client_app(sites), len(sites.names)) as grid:
        if saved.clients:
            grid.load_client_states(saved.clients)
        return audit_clients(grid, settings, timeout)
