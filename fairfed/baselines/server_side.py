"""Training at the server on images that it synthesises: without a federation, or before one.

`synthetic`: every class from its prompt alone; the clients only evaluate. `one-shot`: in the manner
of FGL (Federated Generative Learning, Zhang, Qi & Zhao 2023, arXiv 2306.16064), where clients send
once what conditions the generator, the server synthesises and trains, and rounds of FedAvg may
follow. Departure: FGL's clients send captions of their images (or class names); ours send class
prototypes in CLIP's image space with noise for a stated (ε, δ), of which no image can be read.
A class that no client releases is called by its name, or composed if it is in `augment.unseen`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid

from fairfed import site
from fairfed.config import Arm
from fairfed.strategies.aggregate import Model, decode, encode, flaw
from fairfed.strategies.aggregation import LOST
from fairfed.strategies.steered import FairnessSteered

if TYPE_CHECKING:
    from fairfed.progress import Watcher
    from fairfed.rundir import RunDirectory
    from generators.synthesis import Synthesiser, SyntheticSet
    from semantic.conditioning import Conditioner

logger = logging.getLogger("fairfed")

NOT_GIVEN = "round {round} is trained at the server, which has no trainer"

Trainer = Callable[[Model, int], Model]
"""Trains a model's arrays in a round, on the server's images."""


class ServerTrained(FairnessSteered):
    """`FairnessSteered` whose first rounds are the server's own.

    Parameters
    ----------
    trainer
        What the server does in such a round; None where none is due.
    server_rounds
        How many there are; 0: all.
    """

    def __init__(
        self, *args: Any, trainer: Trainer | None, server_rounds: int, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._trainer, self._server_rounds = trainer, server_rounds

    def _own(self, server_round: int) -> bool:
        """Whether a round is the server's."""
        return not self._server_rounds or server_round <= self._server_rounds

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask nobody in a round of the server's own."""
        if not self._own(server_round):
            return super().configure_train(server_round, arrays, config, grid)
        self._global = decode(arrays)
        return []

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Train, in such a round."""
        if not self._own(server_round):
            return super().aggregate_train(server_round, replies)
        if self._trainer is None:
            raise RuntimeError(NOT_GIVEN.format(round=server_round))
        self.train_log[server_round] = []
        trained = self._trainer(self._global or {}, server_round)
        reason = flaw(trained, trained)
        if reason is not None:
            logger.warning(LOST, server_round, reason)
            return None, None
        return encode(trained), None

    def state_dict(self) -> dict[str, Any]:
        """Return what JSON holds of the strategy."""
        return {**super().state_dict(), "server_rounds": self._server_rounds}


def server_trainer(grid: Grid, run: RunDirectory, toml: str, arm: Arm, watcher: Watcher) -> Trainer:
    """Synthesise the server's images, and return what trains on them.

    What was made and what it cost is written to ``synthetic/server-SLUG.json``.

    Raises
    ------
    semantic.errors.InputError
        If a model is not to be had.
    """
    import torch

    from fairfed.draws import generator_of
    from fairfed.models import federated_model, model_inputs, train_epochs

    made = _server_images(grid, run, toml, arm, watcher)
    config = site.configuration(toml)
    inputs, labels = model_inputs(config, made.images, arm), torch.from_numpy(made.labels)
    classes = len(site.federation(toml, arm.iid).table.classes)

    def train(arrays: Model, server_round: int) -> Model:
        model = federated_model(config, classes, arm)
        model.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
        # The server is the client after the last one, to whom no draw belongs.
        draw = generator_of(config.seed, len(site.federation(toml, arm.iid).train), server_round)
        how = site.training_settings(config, arm)
        train_epochs(model, inputs, labels, **how, generator=draw)
        return decode(ArrayRecord(model.state_dict()))

    return train


def _server_images(
    grid: Grid, run: RunDirectory, toml: str, arm: Arm, watcher: Watcher
) -> SyntheticSet:
    """Images of every cell, as a client that holds nothing would plan them."""
    from fairfed.generation import NONE_ACCEPTED
    from semantic.errors import InputError

    config, data = site.configuration(toml), site.federation(toml, arm.iid)
    start = time.perf_counter()
    maker = site.synthesiser(toml)
    conditioned: tuple[str, ...] = ()
    if arm.system == "one-shot":
        maker, conditioned = _conditioned(grid, run, toml, arm)
    shape = len(data.table.classes), len(data.table.group_names)
    wanted = site.plan(toml, np.zeros(shape, np.int64), False)
    watcher.synthesising(int(wanted.sum()))
    made = maker.fill(wanted, len(data.train), config.augment.pool, config.augment.share)
    if not len(made.labels):
        raise InputError(NONE_ACCEPTED.format(who=f"arm '{arm.name}'"))
    content = {
        "requested": made.requested.tolist(),
        "accepted": made.accepted.tolist(),
        "rejected": {reason: int(cells.sum()) for reason, cells in made.rejected.items()},
        "conditioned": list(conditioned),
        "generated": made.generated,
        "reused": made.reused,
        "seconds": round(time.perf_counter() - start, 3),
    }
    file = f"synthetic/server-{arm.slug}.json"
    if run.read_json(file) is None:  # a continued run keeps the record of what that cost
        run.write_json(file, content)
    watcher.synthesised(content)
    return made


def _conditioned(
    grid: Grid, run: RunDirectory, toml: str, arm: Arm
) -> tuple[Synthesiser, tuple[str, ...]]:
    """The pipeline, conditioned on the clients' prototypes, and the classes that have one."""
    from fairfed.baselines.prototypes import gather

    vectors = gather(grid, run, toml, arm)
    return site.synthesiser_with(toml, _released(toml, vectors)), tuple(sorted(vectors))


def _released(toml: str, vectors: dict[str, tuple[float, ...]]) -> Conditioner:
    """What conditions on prototypes, and composes or names the classes that have none."""
    from fairfed.baselines.prototypes import ReleasedConditioner
    from fairfed.baselines.unseen import composing
    from semantic.conditioning import Conditioner

    space, unseen = site.synthesiser(toml).space, site.configuration(toml).augment.unseen
    otherwise = composing(space, unseen) if unseen else Conditioner(space)
    return ReleasedConditioner(space, "prototype", prototypes=vectors, otherwise=otherwise)


def check_prototypes(toml: str) -> None:
    """Refuse a generator that cannot be conditioned on prototypes, before a client releases any.

    Raises
    ------
    semantic.errors.InputError
        If it reads none, none of this CLIP, or nothing else: a class without one is described.
    """
    from fairfed.generation import settings_of
    from generators.diffusion import load_generator
    from generators.requests import Request, refuse
    from semantic.encoder import load_encoder

    config, cell = site.configuration(toml), site.synthesiser(toml).space.cell(0, 0)
    generator = load_generator(settings_of(config))
    zeros = (0.0,) * load_encoder(config.semantic.encoder).dimension
    for prototype in (zeros, ()):
        refuse(generator, Request(cell, "", 0, prototype=prototype))
