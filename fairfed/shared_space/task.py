"""A run in a shared space, from its configuration to its results."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from fairfed.config import Config
from fairfed.rundir import RunDirectory
from fairfed.shared_space.outcome import write_outcome
from fairfed.shared_space.variants import Variant, rounds_of, settings, variants_of
from fairfed.tasks import refuse_arms
from semantic.errors import InputError

if TYPE_CHECKING:
    from flwr.app import RecordDict
    from flwr.serverapp import Grid

    from fairfed.progress import Watcher

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


def check(config: Config) -> None:
    """Find a user's mistakes before anything is written or trained.

    Raises
    ------
    InputError
        If data, models, classes or settings are not as they should be.
    """
    from fairfed.shared_space.data import class_vectors, holdings

    arrival, shared = config.arrival, settings(config)
    refuse_arms(config, "shared")
    if config.data.tabular:
        raise InputError("data.source: a shared space is of images and captions, not of a table")
    _refuse_unused(config)
    if arrival is not None and arrival.round >= config.rounds:
        raise InputError(TOO_LATE.format(round=arrival.round, rounds=config.rounds))
    if arrival is None and "captions" in shared.variants and not shared.text_clients:
        raise InputError(ONE_MODALITY)
    toml = config.to_toml()
    holdings(toml)
    class_vectors(toml)
    if any(variant.synthesises for variant in variants_of(config)):
        from fairfed.shared_space.memory import check_synthesis

        check_synthesis(toml)


def _refuse_unused(config: Config) -> None:
    """Refuse settings of other runs: what they ask for would silently not be done."""
    for field in UNUSED:
        value = attrgetter(field)(config)
        if value != attrgetter(field)(Config()):
            raise InputError(NO_EFFECT.format(field=field, value=value))


def count_clients(config: Config) -> int:
    """Number of clients of all kinds."""
    shared = settings(config)
    return shared.image_clients + shared.both_clients + shared.text_clients


def run(grid: Grid, config: Config, watcher: Watcher) -> RunDirectory:
    """Train every variant, or continue, and write the outcome.

    Raises
    ------
    InputError
        If the run directory belongs to another run.
    fairfed.errors.RunError
        If no client answers any more.
    """
    from fairfed.fingerprint import fingerprint
    from fairfed.shared_space.data import holdings, images

    directory, toml = RunDirectory(config), config.to_toml()
    directory.keep_data(config.data.source, fingerprint(images(toml), holdings(toml)))
    chosen = variants_of(config)
    finished = {variant.title: directory.finished(variant.arm) for variant in chosen}
    directory.keep_rounds(finished)
    request = {"toml": toml, **_centres(_met(grid, directory, toml))}
    for variant in chosen:
        rounds = rounds_of(config, variant)
        watcher.training(variant.arm, finished[variant.title] + 1, rounds)
        _train(grid, directory, {**request, "arm": variant.arm.slug}, variant, watcher)
    write_outcome(directory, toml)
    return directory


def _met(grid: Grid, directory: RunDirectory, toml: str) -> dict[str, Any]:
    """What the clients say of themselves (`clients.json`), asked once in a run."""
    from fairfed.engines.exchange import query_records, wait_for_nodes
    from fairfed.progress import TIMEOUT
    from fairfed.shared_space.centring import means, merge
    from fairfed.shared_space.strategy import ACTION

    kept: dict[str, Any] | None = directory.read_json("clients.json")
    if kept is None:
        wait_for_nodes(grid, count_clients(directory.config), TIMEOUT)
        answers = query_records(grid, ACTION, {"toml": toml}, TIMEOUT)
        kept = {"clients": [_row(answer) for answer in answers.values()], "release": None}
        if settings(directory.config).centre:
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


def _centres(met: dict[str, Any]) -> dict[str, list[float]]:
    """What every message tells a client of the modalities' centres."""
    return {f"centre-{name}": mean for name, mean in met.get("means", {}).items()}


def _outside(toml: str, variant: Variant) -> frozenset[int]:
    """Clients that take no part in a variant."""
    from fairfed.shared_space.data import holdings

    kinds = [own.kind for own in holdings(toml)]
    return frozenset(
        client for client, kind in enumerate(kinds) if kind == "text" and not variant.captions
    )


def _train(
    grid: Grid,
    directory: RunDirectory,
    request: dict[str, Any],
    variant: Variant,
    watcher: Watcher,
) -> None:
    """Train one variant from its checkpoint, or from the start, to its last round."""
    from flwr.app import ArrayRecord

    from evaluation import get_metric
    from fairfed.progress import AUGMENT_TIMEOUT, TIMEOUT
    from fairfed.rounds import run_rounds
    from fairfed.shared_space.adapter import Adapter
    from fairfed.shared_space.data import encoder, images
    from fairfed.shared_space.strategy import SharedSpace

    config, table = directory.config, images(request["toml"])
    strategy = SharedSpace(
        (len(table.group_names), len(table.classes)),
        outside=_outside(request["toml"], variant),
        metric=get_metric(config.fairness.metric),
        max_weight=config.fairness.max_weight,
        min_share=config.fairness.min_share,
    )
    start = Adapter(encoder(config).dimension, settings(config).hidden, config.seed)
    run_rounds(
        grid,
        strategy,
        ArrayRecord(start.state_dict()),
        rounds_of(config, variant),
        config=request,
        seed=config.seed,
        timeout=AUGMENT_TIMEOUT if variant.synthesises else TIMEOUT,
        checkpoint=directory.checkpoint(variant.arm),
        log=directory.logger(variant.arm, watcher.trained_round),
        min_nodes=count_clients(config),
        fraction=config.fraction,
    )
