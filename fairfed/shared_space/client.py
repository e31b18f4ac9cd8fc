"""What a client answers in a shared space; registered in `fairfed.client`.

What leaves a client, in every round: the adapter's weights, confusion counts, losses, how many
examples it has, seconds. Once: its label set, its numbers of images, captions and test images, and
a noised sum of the embeddings of each modality. No image, caption or embedding of one does.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from torch import Tensor

from fairfed import site
from fairfed.config import Config
from fairfed.draws import generator_of
from fairfed.errors import PublicInputError
from fairfed.models import epoch_rows
from fairfed.shared_space.adapter import Adapter, train_adapter, unit
from fairfed.shared_space.centring import IMAGES, centre_of, centre_of_classes, release
from fairfed.shared_space.data import class_vectors, holdings, image_embeddings, images, positions
from fairfed.shared_space.examples import Examples, captioned, training_examples
from fairfed.shared_space.holdings import Holding
from fairfed.shared_space.variants import Variant, served, settings, trained_on, variant_of

Metrics = dict[str, int | float | list[int] | list[float]]


@dataclass(frozen=True, eq=False)
class _Request:
    """What a message is about."""

    toml: str
    config: Config
    variant: Variant
    client: int
    own: Holding
    round: int
    model: Adapter
    classes: Tensor

    def unserved(self, training: bool) -> list[int]:
        """Classes that the model does not serve (in the training of a round, or after it)."""
        arrival, names = self.config.arrival, images(self.toml).classes
        known = trained_on if training else served
        return [] if known(arrival, self.round) else list(positions(self.config, names)[1])


def describe(message: Message, context: Context) -> Message:
    """How many images, captions and test images the client has, its label set, and its release."""
    toml = str(message.content.config_records["config"]["toml"])
    client = _client(context, toml)
    own = holdings(toml)[client]
    written = own.rows if own.kind != "images" else own.rows[:0]
    metrics: Metrics = {
        "partition-id": client,
        "n-images": len(own.rows) if own.kind != "text" else 0,
        "n-captions": len(written),
        "n-captions-used": len(captioned(toml, written)),
        "n-test": len(own.test),
        "label-set": list(own.classes),
    }
    wanted = settings(site.configuration(toml)).centre
    content = release(toml, client, context) if wanted else RecordDict()
    content["metrics"] = MetricRecord(metrics)
    return Message(content, reply_to=message)


def train(message: Message, context: Context) -> Message:
    """Count what the received adapter does with the client's real examples, then train it."""
    start = time.perf_counter()
    asked = _request(message, context)
    sent = message.content.config_records["config"]
    knows = trained_on(asked.config.arrival, asked.round)
    examples = training_examples(asked.toml, asked.variant, asked.own, knows, sent)
    counts, loss = _counts(
        asked, examples.embeddings[: examples.n_real], examples.labels[: examples.n_real],
        examples.groups[: examples.n_real], asked.unserved(True),
    )  # fmt: skip
    if asked.variant.trains and len(examples.labels):
        loss = _train(asked, examples)
    metrics: Metrics = {
        "partition-id": asked.client,
        "loss": loss,
        "n-real": examples.n_real,
        "n-synthetic": examples.n_synthetic,
        "counts": counts.ravel().tolist(),
        "seconds": time.perf_counter() - start,
    }
    reply = RecordDict({"arrays": ArrayRecord(asked.model.state_dict())})
    reply["metrics"] = MetricRecord(metrics)
    return Message(reply, reply_to=message)


def evaluate(message: Message, context: Context) -> Message:
    """Count how the received adapter classifies the client's test images, among all classes."""
    asked = _request(message, context)
    sent, table = message.content.config_records["config"], images(asked.toml)
    rows = asked.own.test
    found = unit(image_embeddings(asked.toml, rows), centre_of(sent, IMAGES, asked.toml))
    labels, groups = torch.from_numpy(table.labels[rows]), torch.from_numpy(table.groups[rows])
    counts, loss = _counts(asked, found, labels, groups, asked.unserved(False))
    metrics: Metrics = {
        "partition-id": asked.client,
        "loss": loss,
        "n-real": len(rows),
        "counts": counts.ravel().tolist(),
    }
    return Message(RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)


def _client(context: Context, toml: str) -> int:
    client, clients = int(context.node_config["partition-id"]), len(holdings(toml))
    if client >= clients:
        raise PublicInputError(
            f"client {client} holds nothing: [shared] describes {clients} clients; run as many"
        )
    return client


def _request(message: Message, context: Context) -> _Request:
    sent = message.content.config_records["config"]
    toml = str(sent["toml"])
    config, client = site.configuration(toml), _client(context, toml)
    classes = unit(class_vectors(toml), centre_of_classes(sent, toml))
    model = Adapter(classes.shape[1], settings(config).hidden, config.seed)
    model.load_state_dict(message.content.array_records["arrays"].to_torch_state_dict())
    return _Request(
        toml, config, variant_of(str(sent["arm"])), client, holdings(toml)[client],
        int(sent["round"]), model, classes,  # type: ignore[arg-type]
    )  # fmt: skip


def _train(asked: _Request, examples: Examples) -> float:
    """Train on the examples, every class as often as another; the last epoch's loss."""
    how, count = asked.config.train, len(examples.labels)
    draw = generator_of(asked.config.seed, asked.client, asked.round)
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
        noise=settings(asked.config).noise,
        epochs=how.epochs,
        lr=how.lr,
        momentum=how.momentum,
        weight_decay=how.weight_decay,
        draw=draw,
    )


def _counts(
    asked: _Request, embeddings: Tensor, labels: Tensor, groups: Tensor, unserved: list[int]
) -> tuple[npt.NDArray[np.int64], float]:
    """Predictions by group, true and predicted class ``[G, C, C]``; loss on classes served."""
    table = images(asked.toml)
    size = len(table.classes)
    counts = np.zeros((len(table.group_names), size, size), np.int64)
    with torch.no_grad():
        logits = asked.model.logits(embeddings, asked.classes)
    logits[:, unserved] = -torch.inf
    np.add.at(counts, (groups.numpy(), labels.numpy(), logits.argmax(1).numpy()), 1)
    judged = ~torch.isin(labels, torch.tensor(unserved, dtype=torch.int64))
    loss = F.cross_entropy(logits[judged], labels[judged]).item() if judged.any() else 0.0
    return counts, loss
