"""What one client has and does at its own site: real rows, synthetic images, the training set.

Everything here is private to a client. What leaves it is what `fairfed.client` puts in a message.
Loaded data is kept per process, because a client is called anew in every round.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fairfed.config import Arm, Config, parse_config
from fairfed.data import FederatedImages, Federation, load_federation
from fairfed.errors import PublicInputError
from fairfed.generation import NONE_ACCEPTED, settings_of, synthesiser_of
from fairfed.once import once
from fairfed.semantics import semantic_space
from fairfed.sight import Sight, look
from generators.plan import Budget, Cells, plan_cells, split_evenly
from semantic.space import known_groups

if TYPE_CHECKING:
    from torch import Tensor

    from fairfed.tabular import FederatedRows
    from generators.synthesis import Synthesiser, SyntheticSet
    from semantic.conditioning import Conditioner

_LOADING = threading.RLock()


@lru_cache(maxsize=8)
def configuration(toml: str) -> Config:
    """Configuration that the server sent."""
    return parse_config(toml, "the configuration sent by the server")


@once(_LOADING)
def federation(toml: str, iid: bool) -> Federation:
    """Divided rows, loaded once per process."""
    config = configuration(toml)
    if config.data.tabular:
        from fairfed.tabular import load_rows

        return load_rows(config, iid)
    return load_federation(config, iid)


def images(toml: str, iid: bool) -> FederatedImages:
    """The federation of a configuration whose data are images."""
    found = federation(toml, iid)
    if not isinstance(found, FederatedImages):
        raise TypeError("the federation holds a table, not images")
    return found


def rows(toml: str, iid: bool) -> FederatedRows:
    """The federation of a configuration whose data are a table."""
    from fairfed.tabular import FederatedRows

    found = federation(toml, iid)
    if not isinstance(found, FederatedRows):
        raise TypeError("the federation holds images, not a table")
    return found


def inputs(toml: str, iid: bool, chosen: npt.NDArray[np.int64], arm: Arm | None = None) -> Tensor:
    """The chosen real rows as the configured model, or an arm's, takes them, ``[n, …]``."""
    import torch

    from fairfed.models import model_inputs

    config = configuration(toml)
    if config.data.tabular:
        from fairfed.tabular import encode

        features = rows(toml, iid).table.features.iloc[chosen]
        return torch.from_numpy(encode(config.data.table, features))
    return model_inputs(config, images(toml, iid).table.images[chosen], arm)


def model_rows(toml: str, arm: Arm, chosen: npt.NDArray[np.int64]) -> Tensor:
    """The chosen real rows as an arm's model takes them: as `inputs`, or embedded once for all."""
    from fairfed.models.configured import embeds_once

    if arm.system == "zero-shot" or embeds_once(configuration(toml), arm):
        from fairfed.baselines.zero_shot import embeddings

        return embeddings(toml, arm.iid, chosen)
    return inputs(toml, arm.iid, chosen, arm)


def training_rows(toml: str, arm: Arm, client: int) -> npt.NDArray[np.int64]:
    """The real rows that a client trains on: its own, or all where they are in one place."""
    data = federation(toml, arm.iid)
    if arm.system != "centralised":
        return data.train[client]
    return np.sort(np.concatenate(data.train)) if client == 0 else np.zeros(0, np.int64)


@once(_LOADING)
def sight(toml: str) -> Sight:
    """What CLIP and the generator know of the classes and groups, looked at once per process.

    Raises
    ------
    semantic.errors.InputError
        If the attribute table cannot be read, or has no row for a class.
    """
    from generators.diffusion.families import known_words_of
    from semantic.encoder import load_encoder

    config, data = configuration(toml), images(toml, False)
    rows = np.sort(np.concatenate(data.train))
    encoder, words = load_encoder(config.semantic.encoder), known_words_of(settings_of(config))
    return look(config.semantic, config.data.sensitive, data.table, rows, encoder, words)


def synthesiser_with(toml: str, conditioner: Conditioner | None) -> Synthesiser:
    """The pipeline from plans to accepted images, with a conditioning of its own; not kept."""
    config = configuration(toml)
    table = federation(toml, False).table
    seen = sight(toml)
    seen.check()
    space = semantic_space(config.semantic, table.classes, table.group_names)
    space = replace(space, spoken=seen.spoken(table.group_names))
    if conditioner is None and config.augment.unseen:
        from fairfed.baselines.unseen import composing

        conditioner = composing(space, config.augment.unseen)
    return synthesiser_of(config, space, conditioner)


@once(_LOADING)
def synthesiser(toml: str) -> Synthesiser:
    """The pipeline from plans to accepted images, loaded once per process."""
    return synthesiser_with(toml, None)


def plan(toml: str, real: Cells, domain_matching: bool) -> Cells:
    """Synthetic images that a client with these real ones shall have, per cell.

    Groups of which the same is said are one to the plan; what it wants of them is spread evenly
    over those whose values are known.
    """
    augment, names = configuration(toml).augment, federation(toml, False).table.group_names
    present = augment.domain_matching_present if domain_matching else 0
    budget, known = Budget(augment.per_class, augment.cell_target, present), known_groups(names)
    spoken = sight(toml).spoken(names)
    said = [spoken.get(name, name) for name in names]
    which = np.array([list(dict.fromkeys(said)).index(name) for name in said])
    joined = np.arange(which.max() + 1)
    held = np.stack([real[:, which == i].sum(1) for i in joined], 1)
    named = np.array([known[which == i].any() for i in joined])
    return split_evenly(plan_cells(held, budget, named), np.where(known, which, -1))


def matches_domains(config: Config, arm: Arm) -> bool:
    """Whether an arm matches the domains of its real and synthetic images."""
    own = arm.domain_matching
    return arm.augment and (config.augment.domain_matching if own is None else own)


def synthesise(toml: str, arm: Arm, client: int) -> SyntheticSet:
    """A client's synthetic images in an arm, made now or taken from the store."""
    config, data = configuration(toml), federation(toml, arm.iid)
    real = data.table.cells(data.train[client])
    wanted = plan(toml, real, matches_domains(config, arm))
    return synthesiser(toml).fill(wanted, client, config.augment.pool, config.augment.share)


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """What a client trains and is measured on.

    Attributes
    ----------
    inputs, labels, groups
        ``[n, …]``, ``[n]`` and ``[n]``: rows to train on. Real rows come first.
    weights
        ``[n]`` sampling weights, or None to take every row once per epoch.
    n_real, n_synthetic
        Real images held, and synthetic ones added.
    spent
        Images made, and taken from the store, for the last plan of the closed loop.
    """

    inputs: Tensor
    labels: Tensor
    groups: Tensor
    weights: Tensor | None
    n_real: int
    n_synthetic: int
    spent: tuple[int, int] = (0, 0)

    @property
    def size(self) -> int:
        """Images of one epoch."""
        return self.n_real + self.n_synthetic


Key = tuple[str, str, int, bytes]
"""Configuration, arm, client, and the plan of the closed loop (empty before the first)."""

_kept: dict[Key, TrainingSet] = {}
KEPT_BYTES = 2 * 10**9
"""Training sets kept in memory; beyond that the oldest are put together anew when needed."""


def training_settings(config: Config, arm: Arm) -> dict[str, Any]:
    """Arguments of `fairfed.models.train_epochs` in an arm."""
    settings: dict[str, Any] = config.train.model_dump(exclude={"debias", "fairbatch_alpha"})
    own = {"proximal": arm.proximal, "augmentation": arm.augmentation}
    if config.model == "clip":
        rates = config.adapt.lr
        rate = rates.get(arm.adapt or config.adapt.method)
        own["lr"] = rates.get("scratch", rate) if arm.from_scratch else rate
    return settings | {name: value for name, value in own.items() if value is not None}


def training_set(toml: str, arm: Arm, client: int) -> TrainingSet:
    """Training set of a client in an arm."""
    return kept((toml, arm.slug, client, b""), lambda: _assemble(toml, arm, client))


def kept(key: Key, assemble: Callable[[], TrainingSet]) -> TrainingSet:
    """A training set from memory, or put together now; it takes the place of an older plan's."""
    found = _kept.get(key)
    if found is None:
        found = assemble()
        with _LOADING:
            for other in [other for other in _kept if other[:3] == key[:3] and key[3] and other[3]]:
                del _kept[other]
            _kept[key] = found
            while len(_kept) > 1 and sum(own.inputs.nbytes for own in _kept.values()) > KEPT_BYTES:
                _kept.pop(next(iter(_kept)))
    return found


def _assemble(toml: str, arm: Arm, client: int) -> TrainingSet:
    import torch

    from fairfed.models import model_inputs

    config, data = configuration(toml), federation(toml, arm.iid)
    own = training_rows(toml, arm, client)
    labels, groups = data.table.labels[own], data.table.groups[own]
    if not arm.augment:
        real = model_rows(toml, arm, own)
        return TrainingSet(
            real, torch.from_numpy(labels), torch.from_numpy(groups), None, len(own), 0
        )
    pixels = images(toml, arm.iid).table.images[own]
    matching = matches_domains(config, arm)
    made = synthesise(toml, arm, client)
    if made.requested.any() and len(made.labels) == 0:
        raise PublicInputError(NONE_ACCEPTED.format(who=f"client {client}"))
    share = config.augment.autoencode if matching else 0.0
    rendered = synthesiser(toml).autoencode(pixels) if share else pixels[:0]
    synthetic = made.images if len(made.labels) else pixels[:0]
    everything = np.concatenate([pixels, rendered, synthetic])
    all_labels = np.concatenate([labels, labels[: len(rendered)], made.labels])
    all_groups = np.concatenate([groups, groups[: len(rendered)], made.groups])
    weights = sampling_weights(toml, arm, labels, made.labels)
    both = model_inputs(config, everything, arm)
    return TrainingSet(
        both, torch.from_numpy(all_labels), torch.from_numpy(all_groups), weights, len(own),
        len(made.labels),
    )  # fmt: skip


def sampling_weights(
    toml: str, arm: Arm, real: npt.NDArray[np.int64], synthetic: npt.NDArray[np.int64]
) -> Tensor | None:
    """Sampling weights of a training set's rows, from the classes of its real and synthetic ones.

    None where every row counts the same.
    """
    import torch

    augment = configuration(toml).augment
    share = augment.autoencode if matches_domains(configuration(toml), arm) else 0.0
    if not (augment.balance or share):
        return None
    return torch.from_numpy(_sampling_weights(real, synthetic, share, augment.balance))


def _sampling_weights(
    real: npt.NDArray[np.int64],
    synthetic: npt.NDArray[np.int64],
    autoencoded: float,
    balance: bool,
) -> npt.NDArray[np.float64]:
    """Sampling weights of real, autoencoded (where there are any) and synthetic rows.

    With `balance`, every class has the same total, and within a class the real and the synthetic
    source have the same; a real row shares its weight with its autoencoded twin.
    """
    parts = []
    classes = len(set(real.tolist()) | set(synthetic.tolist()))
    for own, other in ((real, synthetic), (synthetic, real)):
        counts = np.bincount(own, minlength=1)
        both = np.isin(own, other)
        even = 1.0 / (classes * counts[own] * np.where(both, 2, 1))
        parts.append(even if balance else np.ones(len(own)))
    twins = [parts[0] * autoencoded] if autoencoded else []
    return np.concatenate([parts[0] * (1 - autoencoded), *twins, parts[1]])
