"""What a site answers of federated classifiers.

What leaves it: its weights, and counts. No image, file name or value of a row does.
"""

from __future__ import annotations

import torch
from flwr.app import ConfigRecord, Message

from fairfed.config.training import synthesises
from fairfed.data.tables.fit import to_records
from fairfed.data.tables.summary import summary_of
from fairfed.models import confusion_counts
from fairfed.sites.known_models import said
from fairfed.sites.policy import summarised
from fairfed.sites.request import WHO, Metrics, Request
from fairfed.systems.classifier import auditing
from fairfed.systems.classifier.prototypes import release as released


def describe(request: Request) -> Message:
    """How many images the site holds in each cell; only who it is, if asked without a study."""
    who = ConfigRecord({"name": request.name})
    if not request.has_study:
        return request.reply({}, **{WHO: who})
    site = request.own_site
    parts = {"train": site.rows.train, "test": site.rows.test}
    for kind, texts in said(site.place).items():
        who[kind] = texts
    if synthesises(request.study):
        who["hidden"] = list(site.place.sight.hidden)
    return request.reply(
        {f"{name}-cells": site.said_cells(rows).ravel().tolist() for name, rows in parts.items()},
        **{WHO: who},
    )


def summarise(request: Request) -> Message:
    """Say in sums what the columns of the site's training rows are like (tables only)."""
    site = request.own_site
    own = site.features.iloc[site.said_rows(site.rows.train)]
    told = to_records(summary_of(summarised(request.study.table, site.policy), own))
    return request.reply({}, **told)


def release(request: Request) -> Message:
    """Noised prototypes of the site's classes, once (system `one-shot`)."""
    return request.reply({}, **released(request.own_site, request.context))


def augment(request: Request) -> Message:
    """Fill the site's gaps with synthetic images, which stay with it; answer with counts.

    Beside them stands in a number what the generator knows (`fairfed.sites.trial.WORDS`).
    """
    site, labels = request.own_site, request.study.labels
    made, trials = site.synthesise(request.arm), site.trials(request.arm)
    rejected: Metrics = {
        f"rejected-{reason}": cells.ravel().tolist() for reason, cells in made.rejected.items()
    }
    return request.reply(
        {
            "requested-cells": made.requested.ravel().tolist(),
            "accepted-cells": made.accepted.ravel().tolist(),
            "generated": made.generated,
            "reused": made.reused,
            "known-names": trials.codes((*labels.classes, *labels.sensitive)),
            **rejected,
        }
    )


def evaluate(request: Request) -> Message:
    """Count how the received model, or Ditto's personal one, classifies the site's test rows.

    Rows of a cell that the site does not say are left out.
    """
    site = request.site
    table, rows = site.table, site.said_rows(site.rows.test)
    groups, classes = request.study.labels.shape
    counts, loss = confusion_counts(
        request.own_model(),
        site.model_rows(rows, request.arm),
        torch.from_numpy(table.labels[rows]),
        torch.from_numpy(table.groups[rows]),
        n_groups=groups,
        n_classes=classes,
        device=site.device,
    )
    return request.reply({"loss": loss, "n-real": len(rows), "counts": counts.ravel().tolist()})


def audit(request: Request) -> Message:
    """Count the received model's predictions and scores on the site's test rows."""
    counts = auditing.client_counts(request.own_model(), request.site, request.arm, request.sent)
    return request.reply({}, **counts)
