"""Was a row trained on? Asked of a run's model, of single updates, and of its synthetic images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord
from numpy.typing import NDArray
from torch import nn

from evaluation.attacks import Attacked, likelihood_ratios, measured
from fairfed.attacks.shadows import Pool, confidences, shadow_confidences
from fairfed.attacks.target import target_of
from fairfed.client import client_app
from fairfed.config import Arm
from fairfed.engines.inprocess import InProcessGrid
from fairfed.models.inputs import Inputs, together
from fairfed.rounds import checkpoint
from fairfed.rounds.arrays import encode
from fairfed.rounds.clients import handshake
from fairfed.rounds.exchange import ARRAYS_KEY, Exchange, perform
from fairfed.sites.simulated import SimulatedSites
from fairfed.sites.site import Site
from fairfed.sites.study import Study

MODEL, UPDATE, IMAGES = "the model", "a client's update", "synthetic images"
LOSS, LIRA, CALIBRATED, NEAREST = "loss", "LiRA", "loss, less the model's", "nearest image"
TIMEOUT = 3600.0


@dataclass(frozen=True, eq=False)
class _Rows:
    """Members and others that are like them, of one site or of all."""

    inputs: Inputs
    chosen: NDArray[np.int64]  # their numbers in the site's table
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    member: NDArray[np.bool_]


def attack_run(run_dir: Path, arm_name: str, shadows: int = 8, seed: int = 0) -> list[Attacked]:
    """Try to tell who was trained on, from what an arm of a finished simulation gave away.

    Members are the clients' training rows, the others their test rows, of the classes that the
    client trains on.

    - *The model*: by its loss on a row (Yeom et al. 2018), and by LiRA with shadow models.
    - *A client's update*: what the server gets where nothing hides it. Clients train once more from
      the last model; a row's loss is compared with that of the model before.
    - *Synthetic images*: how near a row is to the nearest one, in CLIP's embedding.

    Parameters
    ----------
    run_dir
        A run's directory.
    arm_name
        Which arm.
    shadows
        Shadow models for LiRA; even, 0 for none.
    seed
        Of the shadows and the bootstrap.

    Raises
    ------
    semantic.errors.InputError
        If the run is of real sites or has no such arm or model.
    """
    opened = target_of(run_dir, arm_name)
    study, arm, sites, saved = opened.study, opened.arm, opened.sites, opened.saved
    model = _loaded(study, arm, encode(saved.arrays))
    own = opened.own_sites
    apart = [_rows(site, arm) for site in own]
    found = _of_model(study, arm, model, own, apart, shadows, seed)
    found += _of_updates(study, arm, model, sites, saved, apart, seed)
    if arm.augment:
        found += _of_images(study, arm, own, apart, seed)
    return found


def _loaded(study: Study, arm: Arm, arrays: ArrayRecord) -> nn.Module:
    model = study.place.model(arm)
    model.load_state_dict(arrays.to_torch_state_dict())
    return model


def _rows(site: Site, arm: Arm) -> _Rows:
    table, train = site.table, site.rows.train
    test = site.rows.test[np.isin(table.labels[site.rows.test], table.labels[train])]
    rows = np.concatenate([train, test])
    member = np.arange(len(rows)) < len(train)
    return _Rows(site.model_rows(rows, arm), rows, table.labels[rows], table.groups[rows], member)


def _confidences(study: Study, model: nn.Module, rows: _Rows) -> NDArray[np.float64]:
    return confidences(study, model, rows.inputs, rows.labels)


def _by_group(
    study: Study, target: str, attack: str, scores: Any, rows: _Rows, seed: int
) -> list[Attacked]:
    """Measures for all rows, and for those of each group; of areas, those within class × group."""
    names = study.told.labels.groups
    cells = rows.labels * len(names) + rows.groups
    found = [measured(target, attack, scores, rows.member, seed=seed, strata=cells)]
    for g in np.unique(rows.groups) if len(names) > 1 else ():
        here, name = rows.groups == g, names[int(g)]
        own = scores[here], rows.member[here]
        found.append(measured(target, attack, *own, name, seed, cells[here]))
    return found


def _joined(apart: list[_Rows]) -> _Rows:
    return _Rows(
        together([rows.inputs for rows in apart]),
        *(
            np.concatenate([getattr(rows, name) for rows in apart])
            for name in ("chosen", "labels", "groups", "member")
        ),
    )


def _of_model(
    study: Study,
    arm: Arm,
    model: nn.Module,
    own: list[Site],
    apart: list[_Rows],
    shadows: int,
    seed: int,
) -> list[Attacked]:
    everyone = _joined(apart)
    target = _confidences(study, model, everyone)
    found = _by_group(study, MODEL, LOSS, target, everyone, seed)
    if not shadows:
        return found
    further = further_labels = None
    if arm.augment:
        sets = [site.training_set(arm) for site in own]
        made = [torch.arange(len(one.labels) - one.n_synthetic, len(one.labels)) for one in sets]
        further = together([one.inputs[rows] for one, rows in zip(sets, made, strict=True)])
        further_labels = torch.cat([one.labels[rows] for one, rows in zip(sets, made, strict=True)])
    pool = Pool(everyone.inputs, torch.from_numpy(everyone.labels), further, further_labels)
    under, inside = shadow_confidences(study, arm, pool, shadows, seed)
    scores = likelihood_ratios(target, under, inside)
    return found + _by_group(study, MODEL, LIRA, scores, everyone, seed)


def _of_updates(
    study: Study,
    arm: Arm,
    model: nn.Module,
    sites: SimulatedSites,
    saved: checkpoint.Checkpoint,
    apart: list[_Rows],
    seed: int,
) -> list[Attacked]:
    """Of what the server gets of each client; nothing where that is under masks."""
    with InProcessGrid(client_app(sites), len(sites.names)) as grid:
        if saved.clients:
            grid.load_client_states(saved.clients)
        clients = handshake(grid, 1, TIMEOUT)
        request = {**study.request(arm), "round": saved.round + 1}
        asked = Exchange.alike(
            "train", [client.index for client in clients], request, encode(saved.arrays)
        )
        answers = perform(grid, clients, asked, TIMEOUT)
    scores, there = [], []
    for client, reply in answers.replies.items():
        arrays = reply.content.array_records.get(ARRAYS_KEY)
        if arrays is None or not apart[client].member.any():
            continue
        rows = apart[client]
        trained = _loaded(study, arm, arrays)
        scores.append(_confidences(study, trained, rows) - _confidences(study, model, rows))
        there.append(rows)
    if not there:
        return []
    return _by_group(study, UPDATE, CALIBRATED, np.concatenate(scores), _joined(there), seed)


def _of_images(
    study: Study, arm: Arm, own: list[Site], apart: list[_Rows], seed: int
) -> list[Attacked]:
    """How near the nearest synthetic image is, of those that the arm trained on."""
    made = [images for site in own if len(images := site.synthesise(arm).images)]
    if not made:
        return []
    synthetic = study.place.encoder.embed_images(np.concatenate(made)).numpy()
    scores = [
        (site.embeddings(rows.chosen).numpy() @ synthetic.T).max(1).astype(np.float64)
        for site, rows in zip(own, apart, strict=True)
    ]
    return _by_group(study, IMAGES, NEAREST, np.concatenate(scores), _joined(apart), seed)
