"""A run in a shared space, from its configuration to its results.

`check` and `run` are those of a `fairfed.system.System`, which says what they raise.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from flwr.app import ArrayRecord, RecordDict
from flwr.serverapp import Grid

from evaluation import get_metric
from fairfed.config import Config
from fairfed.config.base import required
from fairfed.rounds.arm_server import Plan
from fairfed.rounds.arrays import decode
from fairfed.rounds.progress import AUGMENT_TIMEOUT, TIMEOUT, Watcher
from fairfed.rounds.run_directory import RunDirectory
from fairfed.sites.simulated import simulated
from fairfed.sites.study import Study, refuse_arms
from fairfed.strategies.arm_server import SteeredServer
from fairfed.strategies.steered import FairnessSteered
from fairfed.systems.session import Session, begin
from fairfed.systems.shared_space.adapter import Adapter
from fairfed.systems.shared_space.classes import HELD, check_synthesis, class_vectors
from fairfed.systems.shared_space.embeddings import means, merge
from fairfed.systems.shared_space.results import save_results
from fairfed.systems.shared_space.sites import SharedSites
from fairfed.systems.shared_space.variants import Variant, rounds_of, variants_of
from semantic.errors import InputError

SITES = SharedSites
ACTION = "shared"
"""What `train`, `evaluate` and `query` are of."""
TOO_LATE = (
    "arrival.round is {round} of {rounds} rounds: nothing would be trained after it; lower it, or "
    "raise rounds"
)
ONE_MODALITY = (
    "shared.variants: 'captions' needs clients with captions alone; raise shared.text_clients"
)
UNUSED = (
    "model",
    "partition.name",
    "partition.clients",
    "partition.options",
    "train.proximal",
    "train.debias",
    "train.fairbatch_alpha",
    "train.augmentation",
)
"""Settings that a run with `[shared]` does not read."""
NO_EFFECT = (
    "{field}: a run with [shared] trains an adapter of CLIP and divides the data itself, so that "
    "{value!r} has no effect; leave {field} out"
)


def check(study: Study) -> None:
    """Find a user's mistakes before anything is written or trained."""
    config = study.config
    arrival, shared = config.arrival, required(config.shared)
    refuse_arms(config, "shared")
    _refuse_unused(config)
    if arrival is not None and arrival.round >= config.rounds:
        raise InputError(TOO_LATE.format(round=arrival.round, rounds=config.rounds))
    if arrival is None and "captions" in shared.variants and not shared.text_clients:
        raise InputError(ONE_MODALITY)
    held = simulated(study.simulation, SharedSites, "[shared]").partitions
    class_vectors(study.place)
    if any(variant.synthesises for variant in variants_of(config)):
        check_synthesis(study.place, {c for own in held if own.kind != "text" for c in own.classes})


def _refuse_unused(config: Config) -> None:
    """Refuse settings of other runs: what they ask for would silently not be done."""
    for field in UNUSED:
        value = attrgetter(field)(config)
        if value != attrgetter(field)(Config()):
            raise InputError(NO_EFFECT.format(field=field, value=value))


def run(grid: Grid, study: Study, watcher: Watcher) -> RunDirectory:
    """Train every variant, or continue, and write the results."""
    config = study.config
    chosen = variants_of(config)
    session = begin(grid, study, watcher, [variant.arm for variant in chosen])
    met = _met(session)
    for variant in chosen:
        rounds = rounds_of(config, variant)
        watcher.training(variant.arm, session.run.finished(variant.arm) + 1, rounds)
        _train(session, met, variant)
    save_results(session.run, study.place)
    return session.run


def _met(session: Session) -> dict[str, Any]:
    """What the clients say of themselves (`clients.json`), asked once in a run."""
    directory = session.run
    kept: dict[str, Any] | None = directory.read_json("clients.json")
    if kept is None:
        answers = session.query(ACTION, session.study.request())
        kept = {"clients": [_row(answer) for answer in answers.values()], "release": None}
        if required(directory.config.shared).centre:
            merged = merge(answers.values())
            kept |= {"release": merged.to_json(), "means": means(merged)}
        directory.write_json("clients.json", kept)
    return kept


def _row(answer: RecordDict) -> dict[str, Any]:
    told = answer.metric_records["metrics"]
    return {
        "client": told["partition-id"],
        "images": told["n-images"],
        "captions": told["n-captions"],
        "captions_used": told["n-captions-used"],
        "test": told["n-test"],
        "classes": told["label-set"],
    }


def _known(met: dict[str, Any]) -> dict[str, list[float] | list[int]]:
    """What every message tells a client of all: the modalities' centres, and the classes held."""
    held = {c for row in met["clients"] if row["images"] for c in row["classes"]}
    centres = {f"centre-{name}": mean for name, mean in met.get("means", {}).items()}
    return {**centres, HELD: sorted(held)}


def _outside(met: dict[str, Any], variant: Variant) -> frozenset[int]:
    """Clients that take no part in a variant: those without images, where captions do not count."""
    without = (row["client"] for row in met["clients"] if not row["images"])
    return frozenset() if variant.captions else frozenset(without)


def _train(session: Session, met: dict[str, Any], variant: Variant) -> None:
    """Train one variant from its checkpoint, or from the start, to its last round."""
    config, place = session.config, session.study.place
    strategy = FairnessSteered(
        place.labels.shape,
        metric=get_metric(config.fairness.metric),
        max_weight=config.fairness.max_weight,
        min_share=config.fairness.min_share,
    )
    adapter = Adapter(place.encoder.dimension, required(config.shared).hidden, config.seed)
    plan = Plan(
        rounds=rounds_of(config, variant),
        seed=config.seed,
        timeout=AUGMENT_TIMEOUT if variant.synthesises else TIMEOUT,
        fraction=config.fraction,
        arm=variant.arm.slug,
    )
    start = decode(ArrayRecord(adapter.state_dict()))
    request = {**session.study.request(variant.arm), **_known(met)}
    server = SteeredServer(
        session.grid, session.clients, plan, strategy, start, request,
        action=ACTION, outside=_outside(met, variant),
    )  # fmt: skip
    session.train(variant.arm, server, plan)
