"""Training at the server on images that it synthesises: without a federation, or before one.

`synthetic`: every class from its prompt alone; the clients only evaluate. `one-shot`: in the manner
of FGL (Federated Generative Learning, Zhang, Qi & Zhao 2023, arXiv 2306.16064), where clients send
once what conditions the generator, the server synthesises and trains, and rounds of FedAvg may
follow. Departure: FGL's clients send captions of their images (or class names); ours send class
prototypes in CLIP's image space with noise for a stated (ε, δ), of which no image can be read.
A class that no client releases is called by its name, or composed if it is in
`conditioning.unseen`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid

from fairfed.config import Arm
from fairfed.config.training import shares_images, training_settings
from fairfed.draws import generator_of
from fairfed.rounds.arrays import Model, decode, encode, validate_update
from fairfed.sites.conditioning import describer
from fairfed.sites.generation import NONE_ACCEPTED
from fairfed.sites.workplace import Workplace
from fairfed.strategies.aggregation import LOST
from fairfed.strategies.steered import FairnessSteered
from fairfed.systems.classifier.prototypes import gather
from fairfed.systems.session import Session
from generators.diffusion import load_generator
from generators.requests import Request, refuse
from generators.synthesis import SyntheticSet
from semantic.errors import InputError

logger = logging.getLogger("fairfed")

NOT_GIVEN = "round {round} is trained at the server, which has no trainer"

Trainer = Callable[[Model, int], Model]
"""Trains a model's arrays in a round, on the server's images."""


class ServerTrained(FairnessSteered):
    """`FairnessSteered` whose first `server_rounds` (0: all) are the server's own.

    The trainer is what the server does in such a round; None where none is due.
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
        reason = validate_update(trained, trained)
        if reason is not None:
            logger.warning(LOST, server_round, reason)
            return None, None
        return encode(trained), None

    def state_dict(self) -> dict[str, Any]:
        """Return what JSON holds of the strategy."""
        return {**super().state_dict(), "server_rounds": self._server_rounds}


def server_trainer(session: Session, arm: Arm) -> Trainer:
    """Synthesise the server's images, and return what trains on them.

    What was made and what it cost is written to ``synthetic/server-SLUG.json``.
    """
    import torch

    from fairfed.models import train_epochs

    made, study = _server_images(session, arm), session.study
    place = study.place
    inputs, labels = place.inputs(made.images, arm), torch.from_numpy(made.labels)

    def train(arrays: Model, server_round: int) -> Model:
        model = place.model_with(arrays, arm)
        draw = generator_of(study.told.seed, study.server, server_round)
        how = training_settings(study.told, arm, server_round)
        train_epochs(model, inputs, labels, **how, generator=draw)
        return decode(ArrayRecord(model.state_dict()))

    return train


def _server_images(session: Session, arm: Arm) -> SyntheticSet:
    """Images of every cell, as a client that holds nothing would plan them."""
    study, run, watcher = session.study, session.run, session.watcher
    told, place = study.told, study.place
    start = time.perf_counter()
    described = place.describer(arm)
    conditioned: tuple[str, ...] = ()
    if arm.system == "one-shot":
        vectors = gather(session, arm)
        space = place.scorer.space
        described = describer(space, told.conditioning, "prototype", vectors)
        conditioned = tuple(sorted(vectors))
    maker = place.synthesiser_with(described)
    shape = len(place.labels.classes), len(place.labels.groups)
    wanted = place.plan(np.zeros(shape, np.int64), False)
    watcher.synthesising(int(wanted.sum()))
    made = maker.fill(wanted, study.server, told.synthesis.pool, shares_images(told))
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


def check_prototypes(place: Workplace) -> None:
    """Refuse a generator that cannot be conditioned on prototypes, before a client releases any.

    It must read those of this CLIP, and do without: a class that has none is described.
    """
    cell = place.synthesiser.space.cell(0, 0)
    generator = load_generator(place.diffusion)
    zeros = (0.0,) * place.encoder.dimension
    for prototype in (zeros, ()):
        refuse(generator, Request(cell, "", 0, prototype=prototype))
