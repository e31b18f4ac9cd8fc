"""One experiment over a grid: describe the clients, augment, train every arm, log everything.

`check` and `run` are those of a `fairfed.system.System`, which says what they raise.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.serverapp import Grid

from evaluation import get_metric
from fairfed import __version__
from fairfed.config import Arm
from fairfed.config.labels import LabelSpace
from fairfed.config.table import TableConfig
from fairfed.config.training import (
    arms_to_fill,
    conditioning_mode,
    domain_matching_enabled,
    masks,
    shares_images,
    uses_prototypes,
)
from fairfed.data.tables.fit import fit
from fairfed.models.library import load_weights
from fairfed.models.partial import PartlyTrained
from fairfed.rounds.arm_server import Plan
from fairfed.rounds.arrays import decode
from fairfed.rounds.masked import masking_of
from fairfed.rounds.progress import AUGMENT_TIMEOUT, TIMEOUT, Watcher
from fairfed.rounds.run_directory import COLUMNS, RunDirectory
from fairfed.sites.collection import IID, MAIN
from fairfed.sites.known_models import check_models, check_rendering
from fairfed.sites.policy import UNSAID, pool_sizes
from fairfed.sites.request import WHO, split_of
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.study import Study
from fairfed.sites.trial import WORDS
from fairfed.strategies.arm_server import SteeredServer
from fairfed.systems import PACKAGES
from fairfed.systems.classifier import prototypes
from fairfed.systems.classifier.build import build_strategy, check_arms, needs_probe, published
from fairfed.systems.classifier.probe import check_probe, server_probe
from fairfed.systems.classifier.server_side import check_prototypes, server_trainer
from fairfed.systems.session import Session, begin
from generators.plan import Cells
from semantic.naming import CROSSED, UNKNOWN
from semantic.sight import UNTRIED
from semantic.space import known_groups

if TYPE_CHECKING:
    from torch import nn

UNITS = {"images": "images", "table": "rows"}
"""What a row is called, in the plural, by the kind of a label space."""
UNSAID_COUNTS = (
    "{hidden} counts of training and test rows are too small for their sites to say: no other "
    "count of a site has these rows in it, and where sums of rows are shown, each of the {hidden} "
    "is taken for 1"
)
FILLED = "synthetic/clients.json"
COSTS = ("seconds", "generated", "reused")
AWAY = "what these sites hold is not known yet, for they were not there to say it: {names}"
SITES = SimulatedSites
DRAWN = "%s has a last layer for other classes: %s begin as drawn"
logger = logging.getLogger("fairfed")


def run(grid: Grid, study: Study, watcher: Watcher) -> RunDirectory:
    """Run or continue an experiment; returns its directory, without a report yet."""
    session = begin(grid, study, watcher, study.config.arms)
    federation = _described(session)
    watcher.described(federation)
    session = prototypes.told(_fitted(session))
    for arm in study.config.arms:
        for filling in arms_to_fill(study.told):
            _fill(session, filling, federation)
        _train(session, arm)
        if _unknown(federation):  # a site may have come late
            federation = _described(session)
    return session.run


def _described(session: Session) -> dict[str, Any]:
    """What the federation looks like; of sites that are away, what was known of them before."""
    federation = describe(session, session.run.read_json("federation.json"))
    session.run.write_json("federation.json", federation)
    return federation


def _unknown(federation: dict[str, Any]) -> list[int]:
    """Clients that have not said what they hold."""
    train = next(iter(federation["splits"].values()))["train"]
    return [i for i, own in enumerate(train) if all(n is None for row in own for n in row)]


def _fitted(session: Session) -> Session:
    """The run; of a table, with its columns fitted."""
    study = session.study
    if study.told.labels.kind != "table":
        return session
    # A continued run goes on with the columns that its models were made for.
    kept = session.run.read_json(COLUMNS)
    if kept is not None:
        columns = TableConfig.model_validate(kept)
        return replace(
            session, study=study.with_told(study.told.model_copy(update={"table": columns}))
        )
    request = study.request(study.told.arms[0])
    fitted = fit(study.told, lambda: session.query_present("summarise", request))
    session.run.write_json(COLUMNS, fitted.table.model_dump(mode="json"))
    return replace(session, study=study.with_told(fitted))


def describe(session: Session, former: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the federation looks like (`federation.json`).

    Parameters
    ----------
    former
        What it looked like; stands for those who do not answer.
    """
    # Class and group names are the federation's common knowledge; counts come from the clients.
    study, config = session.study, session.config
    labels = study.told.labels
    shape = labels.shape[::-1]
    splits: dict[str, dict[str, Any]] = {}
    told: list[Any] = []
    for split in (MAIN, IID):
        arm = next((arm for arm in config.arms if split_of(arm) == split), None)
        if arm is None:
            continue
        answers = session.query_present("describe", study.request(arm))
        told = [answer.config_records[WHO] for answer in answers.values()]
        nothing = [[None] * shape[1]] * shape[0]
        splits[split] = {}
        for part in ("train", "test"):
            before = former["splits"][split][part] if former else [nothing] * len(session.clients)
            splits[split][part] = [
                _said(answers[i].metric_records["metrics"][f"{part}-cells"], shape)
                if i in answers
                else before[i]
                for i in range(len(session.clients))
            ]
    sensitive = CROSSED.join(labels.sensitive) if len(labels.groups) > 1 else None
    return {
        "name": config.name,
        "seed": config.seed,
        "classes": list(labels.classes),
        "groups": list(labels.groups),
        "unknown": [name for name in labels.groups if UNKNOWN in name.split(CROSSED)],
        "clients": [client.name for client in session.clients],
        "sensitive": sensitive,
        "rounds": config.rounds,
        "engine": config.engine,
        "unit": UNITS[labels.kind],
        "warnings": _every(told, "warnings"),
        "remarks": [
            *_every(told, "remarks"),
            *_seen(told),
            *_away(session, splits),
            *_unsaid(splits),
        ],
        "versions": {"fairfed": __version__, **{name: version(name) for name in PACKAGES}},
        "arms": [_arm_row(study, arm) for arm in config.arms],
        "splits": splits,
    }


def _said(counts: Any, shape: tuple[int, int]) -> list[list[int | None]]:
    """Counts by class and group as a site said them; None for those that it does not say."""
    rows = np.reshape(counts, shape).tolist()
    return [[None if count == UNSAID else count for count in row] for row in rows]


def _away(session: Session, splits: dict[str, Any]) -> list[str]:
    """Which sites have not said yet what they hold, in words."""
    names = [session.clients[i].name for i in _unknown({"splits": splits})]
    return [AWAY.format(names=", ".join(names))] if names else []


def _unsaid(splits: dict[str, Any]) -> list[str]:
    """How many counts of rows are not said, in words; nothing where all are."""
    rows = [
        row for split in splits.values() for part in split.values() for own in part for row in own
    ]
    hidden = sum(row.count(None) for row in rows)
    return [UNSAID_COUNTS.format(hidden=hidden)] if hidden else []


def _every(told: list[Any], kind: str) -> list[str]:
    """What any site has to say, once."""
    return list(dict.fromkeys(str(text) for who in told for text in who.get(kind, [])))


def _seen(told: list[Any]) -> list[str]:
    """What CLIP tells apart in the sites' real images; by site, where that differs."""
    at: dict[str, list[str]] = {}
    for who in told:
        for text in who.get("seen", []):
            at.setdefault(str(text), []).append(str(who["name"]))
    return [
        text if len(names) == len(told) else f"{text} (at {', '.join(names)})"
        for text, names in at.items()
    ]


def _arm_row(study: Study, arm: Arm) -> dict[str, Any]:
    return {
        "name": arm.name,
        "rule": arm.method,
        "augment": arm.augment,
        "domain_matching": domain_matching_enabled(study.told, arm),
        "split": split_of(arm),
        "reference": arm.reference,
        "own_models": arm.own_models,
        "as_published": published(study.told, arm),
    }


def _fill(session: Session, arm: Arm, federation: dict[str, Any]) -> None:
    """Have clients fill their gaps, those that have not yet (`synthetic/clients.json`).

    A conditioning of an arm's own has a file of its own. A continued run keeps the record of what
    that cost.
    """
    study, watcher = session.study, session.watcher
    told, mode = study.told, conditioning_mode(study.told, arm)
    file = FILLED if arm == arms_to_fill(told)[0] else f"synthetic/clients-{mode}.json"
    former = session.run.read_json(file) or {"clients": [], **dict.fromkeys(COSTS, 0)}
    done = {row["client"] for row in former["clients"]}
    away = _unknown(federation)
    whom = [i for i in range(len(session.clients)) if i not in done and i not in away]
    if not whom:
        return
    split = [federation["splits"][split_of(arm)]["train"][i] for i in whom]
    matching = domain_matching_enabled(told, arm)
    held = [[[1 if count is None else count for count in row] for row in own] for own in split]
    plans = [study.place.plan(np.array(own), matching) for own in held]
    sizes = pool_sizes(np.array(plans), told)
    pools = sizes.max(0) if shares_images(told) else sizes.sum(0)
    batch = told.generator.batch_size
    watcher.synthesising(int((np.ceil(pools / batch) * batch).sum()))
    start = time.perf_counter()
    told_back = session.query_present("augment", study.request(arm), AUGMENT_TIMEOUT, whom)
    answers: dict[int, dict[str, Any]] = {
        client: dict(one.metric_records["metrics"]) for client, one in told_back.items()
    }
    shape = np.array(split[0]).shape
    generated = sum(int(answer["generated"]) for answer in answers.values())
    rejected = {client: _rejected(answer, shape) for client, answer in answers.items()}
    rows = [
        {
            "client": client,
            "requested": np.reshape(answer["requested-cells"], shape).tolist(),
            "accepted": np.reshape(answer["accepted-cells"], shape).tolist(),
            "rejected": {name: int(cells.sum()) for name, cells in rejected[client].items()},
            "known": _known(told.labels, answer["known-names"]),
        }
        for client, answer in answers.items()
    ]
    costs = {
        "seconds": round(time.perf_counter() - start, 3),
        "generated": generated,
        "reused": sum(int(answer["reused"]) for answer in answers.values()),
    }
    together = _together(list(rejected.values()), shares_images(told))
    for reason, count in former.get("rejected", {}).items():
        together[reason] = together.get(reason, 0) + count
    content = {
        "clients": sorted([*former["clients"], *rows], key=lambda row: int(row["client"])),
        "rejected": together,
        **{name: former[name] + cost for name, cost in costs.items()},
    }
    session.run.write_json(file, content)
    watcher.synthesised(content)


def _known(labels: LabelSpace, codes: Any) -> dict[str, str]:
    """What a client's generator knows, in words, by class and sensitive column that were tried."""
    names = (*labels.classes, *labels.sensitive)
    words = zip(names, [WORDS[code] for code in codes], strict=True)
    return {name: word for name, word in words if word != UNTRIED}


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


def _train(session: Session, arm: Arm) -> None:
    """Train one arm from its checkpoint, or from the start, to the last round."""
    from flwr.app import ArrayRecord

    config, study, done = session.config, session.study, session.run.finished(arm)
    session.watcher.training(arm, done + 1, config.rounds)
    probe = server_probe(study, arm) if needs_probe(arm) else None
    trainer = None
    if arm.server_trains and done < (arm.server_rounds or config.rounds):
        trainer = server_trainer(session, arm)
    known = known_groups(study.told.labels.groups).tolist()
    strategy = build_strategy(study.place, arm, probe, trainer, known)
    model = start_model(study, arm)
    plan = Plan(
        rounds=config.rounds,
        seed=config.seed,
        timeout=AUGMENT_TIMEOUT if arm.inversion == "client" else TIMEOUT,
        fraction=config.fraction,
        arm=arm.slug,
    )
    start = decode(ArrayRecord(model.state_dict())) if arm.sends_model else {}
    clients, request = session.clients, study.request(arm)
    masking = masking_of(study.told) if masks(study.told, arm) else None
    server = SteeredServer(
        session.grid,
        clients,
        plan,
        strategy,
        start,
        request,
        AUGMENT_TIMEOUT,
        masking=masking,
    )
    session.train(arm, server, plan)


def start_model(study: Study, arm: Arm) -> nn.Module:
    """The model that an arm begins with; with the configured weights, which are the server's."""
    model = study.place.model(arm)
    if study.config.weights is not None and not isinstance(model, PartlyTrained):
        drawn = load_weights(model, study.config.weights)
        if drawn:
            logger.warning(DRAWN, study.config.weights, ", ".join(drawn))
    return model


def check(study: Study) -> None:
    """Find a user's mistakes before anything is written or trained.

    Loads what the clients of a simulation will load in this process anyway: data, CLIP, generator.
    """
    config, arms, place = study.config, study.told.arms, study.place
    get_metric(config.fairness.metric)
    check_arms(config, place)
    for arm in arms:
        if arm.iid or arm.system == "centralised":
            study.simulated(f"arm {arm.name!r} ({'iid' if arm.iid else arm.system})")
    check_models(place)
    if study.simulation is not None:
        check_rendering(study.simulation)
    if uses_prototypes(study.told) or any(arm.system == "one-shot" for arm in arms):
        check_prototypes(place)
    if any(arm.system == "zero-shot" for arm in arms):
        place.zero_shot_head()
    if any(needs_probe(arm) for arm in arms):
        check_probe(study)
    for arm in arms:
        place.check_model(arm)
    if config.weights is not None:
        start_model(study, arms[0])
