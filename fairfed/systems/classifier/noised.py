"""A client's training under differential privacy, and that its noise is drawn once.

What was trained for a question is kept at a real site, and sent again if the question is asked
again, as it is after a crash: a second draw of the noise would spend privacy a second time.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from torch import Tensor, nn

from evaluation.files import write_whole
from fairfed.config import FederationConfig
from fairfed.config.base import required
from fairfed.draws import generator_of
from fairfed.engines.private import records_from_bytes, records_to_bytes
from fairfed.models.augmentation import randaugment
from fairfed.models.private import sampling_rates, train_privately
from fairfed.privacy.accounting import Mechanism, noise_for
from fairfed.sites.receipts import digest_of
from fairfed.sites.request import Request
from fairfed.sites.training_set import TrainingSet
from generators.writing import explained

QUESTION = "question"


def train_noised(request: Request, model: nn.Module, own: TrainingSet, how: dict[str, Any]) -> None:
    """Train the model in place, or take what was trained for the same question before."""
    folder = request.own_site.kept
    path = None if folder is None else folder / "noised" / f"{request.arm.slug}.bin"
    kept = None if path is None else _kept(path, request.question)
    mechanism, rates, steps = planned(request.study, own, how)
    if kept is None:
        _train(request, model, own, how, mechanism, rates, steps)
        kept = ArrayRecord(model.state_dict())
        if path is not None:  # on the disk before anything leaves
            said = RecordDict({"arrays": kept, QUESTION: ConfigRecord({"is": request.question})})
            path.parent.mkdir(parents=True, exist_ok=True)
            with explained(path):
                write_whole(path, records_to_bytes(said))
    else:
        model.load_state_dict(kept.to_torch_state_dict())
    dp = required(request.study.train.dp)
    request.noted["release"] = {
        "epsilon": dp.epsilon,
        "delta": dp.delta,
        "sha256": digest_of(RecordDict({"arrays": kept})),
        "mechanism": mechanism.to_json(),
    }


def planned(
    study: FederationConfig, own: TrainingSet, how: dict[str, Any]
) -> tuple[Mechanism, Tensor, int]:
    """A round's mechanism, how likely each row is in a step of it, and how many steps it has.

    The noise is that with which all rounds of the arm keep the study's ε. Of the rows, the real
    ones are private: the most likely of them counts.
    """
    dp = required(study.train.dp)
    rates = sampling_rates(len(own.labels), how["batch_size"], own.weights)
    steps = how["epochs"] * math.ceil(own.size / how["batch_size"])
    rate = float(rates[: own.n_real].max()) if own.n_real else 0.0
    if not rate:  # no private row is trained on
        return Mechanism(1.0, steps=0), rates, steps
    noise = noise_for(dp.epsilon, dp.delta, rate, steps * study.rounds)
    return Mechanism(noise, rate, steps), rates, steps


def _train(
    request: Request,
    model: nn.Module,
    own: TrainingSet,
    how: dict[str, Any],
    mechanism: Mechanism,
    rates: Tensor,
    steps: int,
) -> None:
    augment = None
    if how["augmentation"] == "randaugment":
        draws = generator_of(request.study.seed, request.client, request.round)

        def augment(batch: Tensor) -> Tensor:
            return randaugment(batch, draws)

    train_privately(
        model,
        own.inputs,
        own.labels,
        rates=rates,
        steps=steps,
        noise=mechanism.noise if mechanism.steps else 0.0,
        clip=required(request.study.train.dp).clip,
        augment=augment,
        **{
            name: how[name]
            for name in ("lr", "optimizer", "momentum", "weight_decay", "loss_weights",
                         "proximal", "device")
        },
    )  # fmt: skip


def _kept(path: Path, question: str) -> ArrayRecord | None:
    """What was trained for a question; None if it was for another, or nothing was."""
    if not path.is_file():
        return None
    found = records_from_bytes(path.read_bytes())
    if found.config_records[QUESTION]["is"] != question:
        return None
    return found.array_records["arrays"]
