"""A finished run, opened to be attacked by who knows all of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evaluation.run import refuse_results
from fairfed.config import Arm, load_config
from fairfed.rounds import checkpoint
from fairfed.rounds.checkpoint import Checkpoint
from fairfed.rounds.run_directory import arm_of, with_columns
from fairfed.sites.request import split_of
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.site import Site
from fairfed.sites.study import Study, study_of
from fairfed.system import simulation_of
from semantic.errors import InputError

AT_SITES = (
    "{run}: its rows are at sites, and an attack needs to know who was a member; run the study as "
    "a simulation, and attack that"
)
NO_MODEL = "{run}: arm {name!r} has no common model to attack"


@dataclass(frozen=True, eq=False)
class Target:
    """An arm of a finished simulation."""

    study: Study
    arm: Arm
    sites: SimulatedSites
    saved: Checkpoint

    @property
    def own_sites(self) -> list[Site]:
        """Each client's site, with the rows that it has in the arm."""
        count = len(self.sites.names)
        return [self.sites.cut(i, self.study.told, split_of(self.arm)) for i in range(count)]


def attackable(arm: Arm) -> bool:
    """Whether an arm's clients send models of which there is a common one."""
    return arm.sends_model and not arm.own_models and arm.system != "centralised"


def target_of(run_dir: Path, arm_name: str) -> Target:
    """Open a run.

    Raises
    ------
    semantic.errors.InputError
        If it is of real sites, or has no such arm or model.
    """
    refuse_results(run_dir)
    config = load_config(run_dir / "config.toml")
    if config.federation is not None:
        raise InputError(AT_SITES.format(run=run_dir))
    arm = arm_of(run_dir, config, arm_name)
    if not attackable(arm):
        raise InputError(NO_MODEL.format(run=run_dir, name=arm_name))
    saved = checkpoint.load(run_dir / "checkpoints" / f"{arm.slug}.npz")
    sites = simulation_of(config)
    study = study_of(config, sites)
    study = study.with_told(with_columns(study.told, run_dir))
    return Target(study, arm, sites, saved)
