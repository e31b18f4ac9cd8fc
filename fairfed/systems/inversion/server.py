"""What inversion asks of the strategy: Fed-ZDAS's pool and fine-tuning, and the log of the cost.

The server learns from the models that it is sent anyway. Two guards: a client without weight in a
round (rejected, or of no examples) has no say in the pool, and a model that cannot be inverted or
a fine-tuning that is not finite leaves the aggregate as it is; the round's log has the reason.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fairfed.config import Arm
from fairfed.draws import generator_of
from fairfed.rounds.arrays import Model, validate_update
from fairfed.sites.workplace import Workplace
from fairfed.strategies.aggregation import Inversion, Outcome
from fairfed.strategies.part import kept
from fairfed.strategies.replies import ClientReply
from fairfed.systems.inversion import inversion_settings
from semantic.errors import InputError

TUNING = 2
"""Sets the order of the server's examples apart from a client's in the same round."""


@dataclass
class ClientInversion(Inversion):
    """Fed-ZDAC: the clients invert; the server adds up what it cost them."""

    name: ClassVar[str] = "inversion at the clients"

    def after(
        self,
        number: int,
        outcome: Outcome,
        replies: Sequence[ClientReply],
        models: Mapping[int, Model],
    ) -> tuple[Outcome, dict[str, Any] | None]:
        """Log images and seconds of the round, if any client made or took images."""
        sums = [np.nansum(column) for column in zip(*(_cost(r) for r in replies), strict=True)]
        if not any(sums):
            return outcome, None
        generated, reused, seconds = sums
        entry = {"generated": int(generated), "reused": int(reused), "seconds": float(seconds)}
        return outcome, {"at": "client", **entry}


def _cost(reply: ClientReply) -> tuple[float, float, float]:
    """What a client says that it spent, NaN where that can be no number of images or seconds."""
    said = (*reply.spent, reply.inverting)
    return tuple(x if 0 <= x < 2**40 else float("nan") for x in said)  # type: ignore[return-value]


@dataclass
class ServerInversion(Inversion):
    """Fed-ZDAS: the server inverts what it received, keeps a pool, fine-tunes the aggregate on it.

    The study's `[inversion]` says when, from what and how many. Statistics of BatchNorm move with
    the pool: the mean of clients' statistics suits no client's images, and lacks how far the
    clients are apart; keeping it undid most of the gain.
    """

    name: ClassVar[str] = "inversion at the server"
    place: Workplace
    _pool: Model = kept(dict, large=True)

    def after(
        self,
        number: int,
        outcome: Outcome,
        replies: Sequence[ClientReply],
        models: Mapping[int, Model],
    ) -> tuple[Outcome, dict[str, Any] | None]:
        """Fill the pool where an inversion is due, and fine-tune on it from the first one on."""
        settings = inversion_settings(self.place.study)
        aggregate = outcome.model
        if number < settings.start or aggregate is None:
            return outcome, None
        began, generated, failed = time.perf_counter(), 0, {}
        if (number - settings.start) % settings.every == 0:
            sources = _sources(settings.source, aggregate, outcome, replies, models)
            for name, model, known in sources:
                try:
                    generated += self._invert(number, name, model, known)
                except InputError as error:  # logged: one bad model must not end the run
                    failed[name] = str(error)
        entry = {
            "at": "server",
            "generated": generated,
            "pool": len(self._pool.get("labels", ())),
            "failed": failed,
        }
        tuned, entry["flaw"] = self._tune(number, aggregate)
        entry["seconds"] = time.perf_counter() - began
        return replace(outcome, model=tuned), entry

    def _invert(self, number: int, name: str, model: Model, known: Sequence[int]) -> int:
        """Add images of one source to the pool; return how many."""
        from fairfed.systems.inversion.images import Inverter

        inverter = Inverter(self.place, self.place.model_with(model), known)
        made = [inverter.images(label, f"server, round {number}, {name}") for label in known]
        images = np.concatenate(made)
        labels = np.repeat(np.asarray(known, np.int64), [len(each) for each in made])
        if self._pool:
            images = np.concatenate([self._pool["images"], images])
            labels = np.concatenate([self._pool["labels"], labels])
        keep = _newest(labels, inversion_settings(self.place.study).pool)
        self._pool = {"images": images[keep], "labels": labels[keep]}
        return sum(len(each) for each in made)

    def _tune(self, number: int, aggregate: Model) -> tuple[Model, str | None]:
        """Fine-tune the aggregate on the pool; the reason if it stays as it is."""
        import torch

        from fairfed.models import train_epochs

        if not self._pool:
            return aggregate, "the pool is empty"
        study = self.place.study
        settings, train = inversion_settings(study), study.train
        module = self.place.model_with(aggregate)
        train_epochs(
            module,
            self.place.inputs(self._pool["images"]),
            torch.from_numpy(self._pool["labels"]),
            epochs=settings.tune_epochs,
            batch_size=train.batch_size,
            lr=settings.tune_lr,
            momentum=train.momentum,
            generator=generator_of(study.seed, number, TUNING),
        )
        tuned = {name: value.numpy() for name, value in module.state_dict().items()}
        reason = validate_update(tuned, aggregate)
        return (tuned, None) if reason is None else (aggregate, reason)


def _sources(
    source: str,
    aggregate: Model,
    outcome: Outcome,
    replies: Sequence[ClientReply],
    models: Mapping[int, Model],
) -> Iterator[tuple[str, Model, list[int]]]:
    """Name, model and known classes of everything that is inverted in a round."""
    weighing = [r for r, weight in zip(replies, outcome.weights.weight, strict=True) if weight > 0]
    held = {reply.client: reply.counts.sum((0, 2)) > 0 for reply in weighing}
    if source == "aggregate":
        known = np.any(list(held.values()), axis=0)
        yield "aggregate", aggregate, np.flatnonzero(known).tolist()
        return
    for client, known in held.items():
        if known.any():
            yield f"client {client}", models[client], np.flatnonzero(known).tolist()


def _newest(labels: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.bool_]:
    """Which rows are among the last `most` of their class."""
    keep = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        keep[np.flatnonzero(labels == label)[-most:]] = True
    return keep


def inversion_of(place: Workplace, arm: Arm) -> Inversion | None:
    """The part for an arm that asks for inversion; without BatchNorm statistics it is refused."""
    if arm.inversion is None:
        return None
    from fairfed.systems.inversion.images import require_batch_norm

    require_batch_norm(place.model(), place.study.model, arm.inversion)
    return ClientInversion() if arm.inversion == "client" else ServerInversion(place)
