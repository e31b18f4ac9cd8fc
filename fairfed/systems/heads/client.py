"""What a site answers where heads are solved from sums.

What leaves it: for each class × group, how many rows it has, the sum of their features and, where
a head needs them, of the products of these; counts of what heads make of its validation and test
rows; seconds. No feature of a single row does, unless a cell has but one: a site whose policy
suppresses small counts leaves such cells out. With `privacy.secure_sum` sums and counts of training
rows leave under masks, and the server learns those of all sites together.
"""

from __future__ import annotations

import time
from typing import cast

import numpy as np
import torch
from flwr.app import Message
from torch import nn

from fairfed.models import confusion_counts
from fairfed.rounds.arrays import add_prefixes, encode
from fairfed.sites.masked import KEYS, hold
from fairfed.sites.request import Metrics, Request
from fairfed.systems.heads.features import parts, site_features
from fairfed.systems.heads.sums import packed, summed, unshortened
from fairfed.systems.heads.variants import Moments

FIT, HELD = "fit", "held"
"""Parts of the training rows: to solve from, and to choose a strength on."""
TEST = "test"


def send(request: Request) -> Message:
    """The site's sums, of both parts of its training rows."""
    begun = time.perf_counter()
    site, table = request.plain_site, request.plain_site.table
    moments = cast(Moments, request.sent["moments"])
    groups, classes = request.study.labels.shape
    masking = request.study.privacy.secure_sum
    told: Metrics = {}
    arrays = {}
    for name, rows in zip((FIT, HELD), parts(site), strict=True):
        own = summed(
            site_features(site, rows),
            table.labels[rows],
            table.groups[rows],
            (classes, groups),
            moments,
        )
        if masking:
            arrays[name] = unshortened(own)
            continue
        told[f"{name}-cells"] = own.counts.ravel().tolist()
        arrays[name] = packed(own)
    told["seconds"] = time.perf_counter() - begun
    sent = add_prefixes(arrays)
    if masking:
        return request.reply(told, **{KEYS: hold(request, sent)})
    return request.reply(told, arrays=encode(sent))


def evaluate(request: Request) -> Message:
    """Count how each of the received heads classifies the rows of a part.

    Of the validation part, how many it classifies right in each cell; of the test, all counts.
    """
    site = request.plain_site
    groups, classes = request.study.labels.shape
    part = str(request.sent["part"])
    rows = site.said_rows(site.rows.test) if part == TEST else parts(site)[1]
    inputs = torch.from_numpy(site_features(site, rows))
    truth = torch.from_numpy(site.table.labels[rows]), torch.from_numpy(site.table.groups[rows])
    found = [
        confusion_counts(head, inputs, *truth, n_groups=groups, n_classes=classes)
        for head in _heads(request)
    ]
    if part == TEST:
        ((counts, loss),) = found
        return request.reply({"loss": loss, "n-real": len(rows), "counts": counts.ravel().tolist()})
    right = np.stack([np.diagonal(counts, axis1=1, axis2=2).T for counts, _ in found])
    if request.study.privacy.secure_sum:
        judged = found[0][0].sum(2).T
        return request.reply({}, **{KEYS: hold(request, {"right": right, "judged": judged})})
    return request.reply({"right-cells": right.ravel().tolist()})


def _heads(request: Request) -> list[nn.Module]:
    """The received heads: ``weight`` ``[k, C, d]``, ``bias`` ``[k, C]``."""
    found: list[nn.Module] = []
    sent = request.weights
    for weight, bias in zip(sent["weight"].double(), sent["bias"].double(), strict=True):
        head = nn.Linear(weight.shape[1], weight.shape[0], dtype=torch.float64)
        head.load_state_dict({"weight": weight, "bias": bias})
        found.append(head)
    return found
