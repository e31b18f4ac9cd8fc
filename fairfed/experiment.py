"""One experiment over a grid: describe the clients, augment, train every arm, log everything."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from fairfed import __version__
from fairfed.config import Arm, Config
from fairfed.rounds.progress import AUGMENT_TIMEOUT, TIMEOUT, Watcher
from fairfed.rounds.run_directory import RunDirectory
from fairfed.tasks import task_of
from generators.plan import Cells
from semantic.errors import InputError
from semantic.space import CROSSED, UNKNOWN, known_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flwr.serverapp import Grid

    from fairfed.rounds.exchange import Client

PACKAGES = (
    "torch", "torchvision", "diffusers", "transformers", "open_clip_torch", "flwr", "flwr-datasets",
    "pydantic", "numpy",
)  # fmt: skip
"""Packages that a run needs, and whose versions it records."""


def run_experiment(grid: Grid, config: Config, watcher: Watcher) -> RunDirectory:
    """Run or continue an experiment; returns its directory, without a report yet.

    Raises
    ------
    semantic.errors.InputError
        If the run directory belongs to another run, the data have changed since it began, its log
        is damaged, or a client cannot read its data.
    fairfed.errors.RunError
        If no client answers any more.
    """
    from fairfed.fingerprint import know_again
    from fairfed.rounds.clients import handshake

    task = task_of(config)
    if task is not None:
        return task.run(grid, config, watcher)
    run = RunDirectory(config)
    toml = config.to_toml()
    know_again(run)
    run.truncate_log_to_checkpoint({arm.name: run.finished(arm) for arm in config.arms})
    clients = handshake(grid, 1, TIMEOUT)
    federation = describe(grid, clients, config, toml)
    run.write_json("federation.json", federation)
    watcher.described(federation)
    toml = _fitted(grid, clients, run, toml)
    # A continued run that has filled its gaps keeps the record of what that cost.
    filled = run.read_json("synthetic/clients.json") is not None
    if any(arm.augment for arm in config.arms) and not filled:
        _augment(grid, clients, run, toml, federation, watcher)
    for arm in config.arms:
        _train(grid, clients, run, toml, arm, federation, watcher)
    return run


def _fitted(grid: Grid, clients: Sequence[Client], run: RunDirectory, toml: str) -> str:
    """The configuration that clients are sent: for a table, with its columns fitted."""
    from fairfed.tabular.fit import fit

    fitted = fit(grid, clients, run.config, TIMEOUT)
    if fitted is run.config:
        return toml
    run.write_json("columns.json", fitted.data.table.model_dump(mode="json"))
    return fitted.to_toml()


def _request(toml: str, arm: Arm) -> dict[str, Any]:
    """What every message tells a client."""
    from fairfed.site import configuration

    config = configuration(toml)
    known: dict[str, Any] = {"toml": toml, "arm": arm.slug, "round": 0}
    if config.model == "clip":
        from fairfed.adapting.classifier import identity

        known |= identity(config)
    return known


def describe(grid: Grid, clients: Sequence[Client], config: Config, toml: str) -> dict[str, Any]:
    """What the federation looks like (`federation.json`)."""
    from fairfed.knowing import said
    from fairfed.rounds.clients import query_metrics
    from fairfed.site import federation

    # Class and group names are the federation's common knowledge; counts come from the clients.
    held = federation(toml, False)
    table = held.table
    shape = len(table.classes), len(table.group_names)
    splits = {}
    for iid in (False, True):
        arm = next((arm for arm in config.arms if arm.iid == iid), None)
        if arm is None:
            continue
        answers = query_metrics(grid, clients, "describe", _request(toml, arm), TIMEOUT)
        splits[_split(iid)] = {
            part: [np.reshape(a[f"{part}-cells"], shape).tolist() for a in answers.values()]
            for part in ("train", "test")
        }
    sensitive = CROSSED.join(config.data.sensitive) if len(table.group_names) > 1 else None
    return {
        "name": config.name,
        "seed": config.seed,
        "classes": list(table.classes),
        "groups": list(table.group_names),
        "unknown": [name for name in table.group_names if UNKNOWN in name.split(CROSSED)],
        "clients": list(held.names),
        "sensitive": sensitive,
        "rounds": config.rounds,
        "engine": config.engine,
        "unit": table.unit,
        **said(toml),
        "versions": {"fairfed": __version__, **{name: version(name) for name in PACKAGES}},
        "arms": [_arm_row(config, arm) for arm in config.arms],
        "splits": splits,
    }


def _split(iid: bool) -> str:
    """Name of a split in `federation.json`."""
    return "iid" if iid else "main"


def _arm_row(config: Config, arm: Arm) -> dict[str, Any]:
    from fairfed.site import matches_domains
    from fairfed.strategies.build import published

    return {
        "name": arm.name,
        "rule": arm.method,
        "augment": arm.augment,
        "domain_matching": matches_domains(config, arm),
        "split": _split(arm.iid),
        "reference": arm.reference,
        "own_models": arm.own_models,
        "as_published": published(config, arm),
    }


def _augment(
    grid: Grid,
    clients: Sequence[Client],
    run: RunDirectory,
    toml: str,
    federation: dict[str, Any],
    watcher: Watcher,
) -> None:
    """Have every client fill its gaps before the first round (`synthetic/clients.json`)."""
    from fairfed.rounds.clients import query_metrics
    from fairfed.site import matches_domains, plan

    config = run.config
    arms = [arm for arm in config.arms if arm.augment]
    arm = next((arm for arm in arms if matches_domains(config, arm)), arms[0])
    split = federation["splits"][_split(arm.iid)]["train"]
    plans = [plan(toml, np.array(real), matches_domains(config, arm)) for real in split]
    size = np.maximum(plans, config.augment.pool) * (np.array(plans) > 0)
    pools = size.max(0) if config.augment.share else np.array(plans).sum(0)
    batch = config.generator.batch_size
    watcher.synthesising(int((np.ceil(pools / batch) * batch).sum()))
    start = time.perf_counter()
    answers = query_metrics(grid, clients, "augment", _request(toml, arm), AUGMENT_TIMEOUT)
    shape = np.array(split[0]).shape
    generated = sum(int(answer["generated"]) for answer in answers.values())
    rejected = {client: _rejected(answer, shape) for client, answer in answers.items()}
    rows = [
        {
            "client": client,
            "requested": np.reshape(answer["requested-cells"], shape).tolist(),
            "accepted": np.reshape(answer["accepted-cells"], shape).tolist(),
            "rejected": {name: int(cells.sum()) for name, cells in rejected[client].items()},
        }
        for client, answer in answers.items()
    ]
    content = {
        "clients": rows,
        "rejected": _together(list(rejected.values()), config.augment.share),
        "seconds": round(time.perf_counter() - start, 3),
        "generated": generated,
        "reused": sum(int(answer["reused"]) for answer in answers.values()),
    }
    run.write_json("synthetic/clients.json", content)
    watcher.synthesised(content)


def _rejected(answer: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Cells]:
    """Rejections by reason, per cell, in the pools that a client drew from."""
    prefix = "rejected-"
    return {
        name.removeprefix(prefix): np.reshape(cells, shape)
        for name, cells in answer.items()
        if name.startswith(prefix)
    }


def _together(rejected: list[dict[str, Cells]], shared: bool) -> dict[str, int]:
    """Rejections by reason over all clients, those of a pool that several drew from only once."""
    reasons = sorted({reason for own in rejected for reason in own})
    every = {reason: [own[reason] for own in rejected if reason in own] for reason in reasons}
    join = np.max if shared else np.sum
    return {reason: int(join(np.stack(cells), axis=0).sum()) for reason, cells in every.items()}


def _train(
    grid: Grid,
    clients: Sequence[Client],
    run: RunDirectory,
    toml: str,
    arm: Arm,
    federation: dict[str, Any],
    watcher: Watcher,
) -> None:
    """Train one arm from its checkpoint, or from the start, to the last round."""
    from flwr.app import ArrayRecord

    from fairfed.models import federated_model
    from fairfed.probe import server_probe
    from fairfed.rounds.arm_server import Plan
    from fairfed.rounds.loop import run_rounds
    from fairfed.site import configuration
    from fairfed.strategies.aggregate import decode
    from fairfed.strategies.arm_server import SteeredServer
    from fairfed.strategies.build import build_strategy, needs_probe

    config = run.config
    watcher.training(arm, run.finished(arm) + 1, config.rounds)
    probe = server_probe(toml, arm) if needs_probe(arm) else None
    trainer = None
    if arm.server_trains and run.finished(arm) < (arm.server_rounds or config.rounds):
        from fairfed.baselines.server_side import server_trainer

        trainer = server_trainer(grid, clients, run, toml, arm, watcher)
    shape = len(federation["groups"]), len(federation["classes"])
    known = known_groups(federation["groups"]).tolist()
    strategy = build_strategy(config, arm, shape, probe, trainer, known)
    model = federated_model(configuration(toml), shape[1], arm)
    plan = Plan(
        rounds=config.rounds,
        seed=config.seed,
        timeout=AUGMENT_TIMEOUT if arm.inversion == "client" else TIMEOUT,
        fraction=config.fraction,
        arm=arm.slug,
    )
    start = decode(ArrayRecord(model.state_dict())) if arm.sends_model else {}
    server = SteeredServer(
        grid, clients, plan, strategy, start, _request(toml, arm), AUGMENT_TIMEOUT
    )
    log = run.logger(arm, watcher.trained_round)
    run_rounds(grid, clients, server, plan, log, run.checkpoint(arm))


def check(config: Config) -> None:
    """Find a user's mistakes before anything is written or trained.

    Loads what the clients of a simulation will load in this process anyway: data, CLIP, generator.

    Raises
    ------
    semantic.errors.InputError, evaluation.errors.InputError
        If the data, a model, the attribute table or the metric is not to be had.
    """
    from evaluation import get_metric
    from fairfed.baselines.server_side import check_prototypes
    from fairfed.baselines.zero_shot import zero_shot_head
    from fairfed.knowing import check_models
    from fairfed.probe import check_probe
    from fairfed.site import federation
    from fairfed.strategies.build import check_arms, needs_probe

    task = task_of(config)
    if task is not None:
        task.check(config)
        return
    get_metric(config.fairness.metric)
    check_arms(config)
    toml = config.to_toml()
    federation(toml, False)
    check_models(toml)
    if any(arm.system == "one-shot" for arm in config.arms):
        check_prototypes(toml)
    if any(arm.system == "zero-shot" for arm in config.arms):
        zero_shot_head(toml, False)
    if any(needs_probe(arm) for arm in config.arms):
        check_probe(toml)
    if config.model == "clip":
        from fairfed.adapting.classifier import adapted_clip

        for arm in config.arms:
            adapted_clip(config, arm)


def count_clients(config: Config) -> int:
    """Number of clients of a federation on this machine.

    Raises
    ------
    InputError
        If the data or its division is not as the configuration says.
    """
    from fairfed.site import federation

    task = task_of(config)
    if task is not None:
        return task.count_clients(config)
    count = len(federation(config.to_toml(), False).train)
    if count < 1:
        raise InputError("the data holds no client; see 'data.client' and 'partition'")
    return count
