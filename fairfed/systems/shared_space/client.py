"""What a client answers in a shared space; registered in `fairfed.client`.

What leaves a client, in every round: the adapter's weights, confusion counts, losses, how many
examples it has, seconds. Once: its label set, its numbers of images, captions and test images, and
a noised sum of the embeddings of each modality. No image, caption or embedding of one does.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from flwr.app import ArrayRecord, Message
from torch import Tensor

from fairfed.config.base import required
from fairfed.draws import generator_of
from fairfed.models import epoch_rows
from fairfed.sites.request import Metrics, Request
from fairfed.systems.shared_space.adapter import Adapter, train_adapter, unit
from fairfed.systems.shared_space.classes import class_vectors, positions
from fairfed.systems.shared_space.embeddings import (
    IMAGES,
    centre_of,
    centre_of_classes,
    image_embeddings,
    release,
)
from fairfed.systems.shared_space.examples import Examples, captioned, training_examples
from fairfed.systems.shared_space.sites import SharedSite, shared_site
from fairfed.systems.shared_space.variants import Variant, served, trained_on, variant_of


@dataclass(frozen=True, eq=False)
class _Asked:
    """What a message is about."""

    site: SharedSite
    variant: Variant
    round: int
    model: Adapter
    classes: Tensor

    def unserved(self, training: bool) -> list[int]:
        """Classes that the model does not serve (in the training of a round, or after it)."""
        study = self.site.place.study
        known = trained_on if training else served
        if known(study.arrival, self.round):
            return []
        return list(positions(study, self.site.table.classes)[1])


def describe(request: Request) -> Message:
    """How many images, captions and test images the client has, its label set, and its release."""
    site = shared_site(request)
    own = site.own
    written = own.rows if own.kind != "images" else own.rows[:0]
    metrics: Metrics = {
        "n-images": len(own.rows) if own.kind != "text" else 0,
        "n-captions": len(written),
        "n-captions-used": len(captioned(site, written)),
        "n-test": len(own.test),
        "label-set": list(own.classes),
    }
    wanted = required(request.study.shared).centre
    return request.reply(metrics, **(release(site, request.context) if wanted else {}))


def train(request: Request) -> Message:
    """Count what the received adapter does with the client's real examples, then train it."""
    start = time.perf_counter()
    asked = _asked(request)
    knows = trained_on(request.study.arrival, asked.round)
    examples = training_examples(asked.site, asked.variant, knows, request.sent)
    counts, loss = _counts(
        asked, examples.embeddings[: examples.n_real], examples.labels[: examples.n_real],
        examples.groups[: examples.n_real], asked.unserved(True),
    )  # fmt: skip
    if asked.variant.trains and len(examples.labels):
        loss = _train(asked, examples)
    metrics: Metrics = {
        "loss": loss,
        "n-real": examples.n_real,
        "n-synthetic": examples.n_synthetic,
        "counts": counts.ravel().tolist(),
        "seconds": time.perf_counter() - start,
    }
    return request.reply(metrics, arrays=ArrayRecord(asked.model.state_dict()))


def evaluate(request: Request) -> Message:
    """Count how the received adapter classifies the client's test images, among all classes."""
    asked = _asked(request)
    table, rows = asked.site.table, asked.site.own.test
    centre = centre_of(request.sent, IMAGES, asked.site.place)
    found = unit(image_embeddings(asked.site, rows), centre)
    labels, groups = torch.from_numpy(table.labels[rows]), torch.from_numpy(table.groups[rows])
    counts, loss = _counts(asked, found, labels, groups, asked.unserved(False))
    return request.reply({"loss": loss, "n-real": len(rows), "counts": counts.ravel().tolist()})


def _asked(request: Request) -> _Asked:
    site, study = shared_site(request), request.study
    place = site.place
    classes = unit(class_vectors(place), centre_of_classes(request.sent, place))
    model = Adapter(classes.shape[1], required(study.shared).hidden, study.seed)
    model.load_state_dict(request.weights)
    return _Asked(site, variant_of(str(request.sent["arm"])), request.round, model, classes)


def _train(asked: _Asked, examples: Examples) -> float:
    """Train on the examples, every class as often as another; the last epoch's loss."""
    study, count = asked.site.place.study, len(examples.labels)
    how = study.train
    draw = generator_of(study.seed, asked.site.index, asked.round)
    even = 1.0 / torch.bincount(examples.sources)[examples.sources].double()

    def batches() -> list[Tensor]:
        rows = epoch_rows(count, draw, even)
        return list(rows.tensor_split(math.ceil(count / how.batch_size)))

    return train_adapter(
        asked.model,
        batches,
        examples.embeddings,
        examples.labels,
        asked.classes,
        competing=examples.competing,
        texts=examples.texts,
        noise=required(study.shared).noise,
        how=how,
        draw=draw,
    )


def _counts(
    asked: _Asked, embeddings: Tensor, labels: Tensor, groups: Tensor, unserved: list[int]
) -> tuple[npt.NDArray[np.int64], float]:
    """Predictions by group, true and predicted class ``[G, C, C]``; loss on classes served."""
    table = asked.site.table
    size = len(table.classes)
    counts = np.zeros((len(table.group_names), size, size), np.int64)
    with torch.no_grad():
        logits = asked.model.logits(embeddings, asked.classes)
    logits[:, unserved] = -torch.inf
    np.add.at(counts, (groups.numpy(), labels.numpy(), logits.argmax(1).numpy()), 1)
    judged = ~torch.isin(labels, torch.tensor(unserved, dtype=torch.int64))
    loss = F.cross_entropy(logits[judged], labels[judged]).item() if judged.any() else 0.0
    return counts, loss
