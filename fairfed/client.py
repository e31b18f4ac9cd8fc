"""The Flower ClientApp: what a client answers, on every engine.

What leaves a client: its weights, and counts. No image, file name or value of a row does; of an
error, only its kind.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fairfed import local_training, site
from fairfed.engines.deployment import refuse_site
from fairfed.engines.redaction import redact_client_errors
from fairfed.request import Metrics, Request

Handler = Callable[[Message, Context], Message]

SYSTEMS = {
    # federated zero-shot learning
    ("train", "zsl"): ("fairfed.zsl.client", "train"),
    # a topology without a server, and what it is compared with
    ("query", "peer"): ("fairfed.peers.node", "act"),
    ("query", "adapt"): ("fairfed.peers.node", "adapt"),
    # domain specialisation of the generator
    ("train", "specialise"): ("fairfed.adapting.client", "train"),
    ("evaluate", "specialise"): ("fairfed.adapting.client", "evaluate"),
    # images and captions in a shared space
    ("query", "shared"): ("fairfed.shared_space.client", "describe"),
    ("train", "shared"): ("fairfed.shared_space.client", "train"),
    ("evaluate", "shared"): ("fairfed.shared_space.client", "evaluate"),
}
"""Handlers of the systems that train something else than a classifier, by kind and action."""

app = ClientApp(mods=[redact_client_errors, refuse_site])


@app.query("describe")
def describe(message: Message, context: Context) -> Message:
    """How many images the client holds in each cell; only who it is, if asked without settings."""
    request = Request(message, context)
    if "toml" not in request.sent:
        return request.reply({})
    data = site.federation(request.toml, request.arm.iid)
    parts = {"train": data.train, "test": data.test}
    return request.reply(
        {
            f"{name}-cells": data.table.cells(rows[request.client]).ravel().tolist()
            for name, rows in parts.items()
        }
    )


@app.query("summarise")
def summarise(message: Message, context: Context) -> Message:
    """Say in sums what the columns of the client's training rows are like (tables only)."""
    from fairfed.tabular.fit import to_records
    from fairfed.tabular.summary import summary_of

    request = Request(message, context)
    data = site.rows(request.toml, request.arm.iid)
    own = data.table.features.iloc[data.train[request.client]]
    said = to_records(summary_of(request.config.data.table, own))
    who = MetricRecord({"partition-id": request.client})
    return Message(RecordDict({"metrics": who, **said}), reply_to=message)


@app.query("release")
def release(message: Message, context: Context) -> Message:
    """Noised prototypes of the client's classes, once (system `one-shot`)."""
    from fairfed.baselines.prototypes import release as released

    request = Request(message, context)
    content = released(request.toml, request.arm, request.client, context)
    return Message(content, reply_to=message)


@app.query("augment")
def augment(message: Message, context: Context) -> Message:
    """Fill the client's gaps with synthetic images, which stay with it; answer with counts."""
    request = Request(message, context)
    made = site.synthesise(request.toml, request.arm, request.client)
    rejected: Metrics = {
        f"rejected-{reason}": cells.ravel().tolist() for reason, cells in made.rejected.items()
    }
    return request.reply(
        {
            "requested-cells": made.requested.ravel().tolist(),
            "accepted-cells": made.accepted.ravel().tolist(),
            "generated": made.generated,
            "reused": made.reused,
            **rejected,
        }
    )


@app.train()
def train(message: Message, context: Context) -> Message:
    """Measure the received model on the client's real images, then train it."""
    return local_training.train(Request(message, context))


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Count how the received model, or Ditto's personal one, classifies the client's test rows."""
    import torch

    from fairfed.models import confusion_counts

    request = Request(message, context)
    data = site.federation(request.toml, request.arm.iid)
    table, rows = data.table, data.test[request.client]
    counts, loss = confusion_counts(
        request.own_model(),
        site.model_rows(request.toml, request.arm, rows),
        torch.from_numpy(table.labels[rows]),
        torch.from_numpy(table.groups[rows]),
        n_groups=len(table.group_names),
        n_classes=len(table.classes),
    )
    return request.reply({"loss": loss, "n-real": len(rows), "counts": counts.ravel().tolist()})


@app.query("audit")
def audit(message: Message, context: Context) -> Message:
    """Count the received model's predictions and scores on the client's test rows."""
    from fairfed.auditing import client_counts

    request = Request(message, context)
    model = request.own_model()
    content = client_counts(model, request.toml, request.arm, request.client, request.sent)
    return Message(content, reply_to=message)


def _imported_when_asked(module: str, name: str) -> Handler:
    """A handler whose module is loaded with its first message."""

    def handle(message: Message, context: Context) -> Message:
        reply: Message = getattr(import_module(module), name)(message, context)
        return reply

    return handle


for (kind, action), (module, name) in SYSTEMS.items():
    getattr(app, kind)(action)(_imported_when_asked(module, name))
