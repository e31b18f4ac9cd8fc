"""A client's training set, extended by what the closed loop has planned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fairfed import site
from fairfed.config import Arm
from generators.plan import Cells

if TYPE_CHECKING:
    from fairfed.site import TrainingSet


def extended_set(toml: str, arm: Arm, client: int, extra: Cells, new: Cells) -> TrainingSet:
    """Training set of a client with images beyond those that fill its own gaps.

    They are made (or found in the store) at the first call and kept in memory until the next plan.
    Where clients share images, they get the same further ones.

    Parameters
    ----------
    extra
        All images that were planned so far, per cell, ``[n_classes, n_groups]``.
    new
        Those of them that the last plan added; ``spent`` is what they cost.
    """
    key = toml, arm.slug, client, extra.tobytes() + new.tobytes()
    return site.kept(key, lambda: _extend(toml, arm, client, extra, new))


def _extend(toml: str, arm: Arm, client: int, extra: Cells, new: Cells) -> TrainingSet:
    import torch

    from fairfed.models import model_inputs
    from generators.further import further_images
    from generators.synthesis import SHARED, owner

    base, config = site.training_set(toml, arm, client), site.configuration(toml)
    maker, pools, before = site.synthesiser(toml), _pools(toml, arm, client), extra - new
    whose = SHARED if config.augment.share else owner(client)
    plans = [
        further_images(maker, pools, before, whose),
        further_images(maker, pools + before, new, whose),
    ]
    inputs, labels, groups = [base.inputs], [base.labels], [base.groups]
    for made in plans:
        if len(made.labels):
            inputs.append(model_inputs(config, made.images, arm))
            labels.append(torch.from_numpy(made.labels))
            groups.append(torch.from_numpy(made.groups))
    added = sum(len(made.labels) for made in plans)
    all_labels = torch.cat(labels)
    synthetic = all_labels[len(all_labels) - base.n_synthetic - added :]
    real = all_labels[: base.n_real]
    return replace(
        base,
        inputs=torch.cat(inputs),
        labels=all_labels,
        groups=torch.cat(groups),
        weights=site.sampling_weights(toml, arm, real.numpy(), synthetic.numpy()),
        n_synthetic=base.n_synthetic + added,
        spent=(plans[-1].generated, plans[-1].reused),
    )


def _pools(toml: str, arm: Arm, client: int) -> Cells:
    """Sizes of the pools that a client's own plan has drawn from, per cell."""
    config, data = site.configuration(toml), site.federation(toml, arm.iid)
    real = data.table.cells(data.train[client])
    wanted = site.plan(toml, real, site.matches_domains(config, arm))
    least = config.augment.pool if config.augment.share else 0
    return np.where(wanted > 0, np.maximum(wanted, least), 0)
