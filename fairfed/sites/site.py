"""A site: who owns rows, and what it does with them at home.

Everything here is private to it. What leaves it is what `fairfed.client` puts in a message.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fairfed.config import Arm
from fairfed.config.site import SitePolicy
from fairfed.config.training import (
    conditioning_mode,
    domain_matching_enabled,
    embeds_once,
    shares_images,
)
from fairfed.data import ImageTable, LabelledTable
from fairfed.data.stored import chosen, joined
from fairfed.data.tables import FeatureTable, encode
from fairfed.errors import PublicInputError
from fairfed.sites.generation import NONE_ACCEPTED
from fairfed.sites.policy import UNSAID, pool_sizes, said_counts
from fairfed.sites.training_set import TrainingSet, sampling_weights
from fairfed.sites.trial import Known, Trials, some_of_each, try_generator
from generators.curation import References
from generators.plan import Cells
from generators.synthesis import SHARED, incremental_images, owner
from semantic.memory import remember
from semantic.prototypes import PrototypeSums, sum_prototypes

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from fairfed.config.federation import FederationConfig
    from fairfed.models.inputs import Inputs
    from fairfed.sites.keys import Identity
    from fairfed.sites.workplace import Workplace
    from generators.requests import Image
    from generators.synthesis import Synthesiser, SyntheticSet
    from semantic.space import Cell

Rows = npt.NDArray[np.int64]


def taken_for(said: Cells) -> Cells:
    """Counts as a site said them, each that is not said taken for 1: the least that it can be."""
    return np.where(said == UNSAID, 1, said)


@dataclass(frozen=True, eq=False)
class SiteRows:
    """The rows of a site."""

    table: LabelledTable  # its rows, in the federation's label space
    # Which of them are for training, and which models are measured on; ascending.
    train: Rows
    test: Rows


class Site:
    """One participant of a federation.

    Parameters
    ----------
    name
        What it is called in tables, logs and reports.
    index
        Its position among the sites, in order of their names.
    rows
        What it owns.
    place
        The models of its machine, under the study.
    split
        Which division of a simulation's data the rows are of.
    policy
        Which counts leave it; None for all, as they are.
    kept
        Directory of what it releases once in a study; None: only the client's state has it.
    identity
        Signs for it, and knows the others; None in a simulation, where one process is all sites.
    """

    def __init__(
        self,
        name: str,
        index: int,
        rows: SiteRows,
        place: Workplace,
        split: str = "main",
        policy: SitePolicy | None = None,
        kept: Path | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.name, self.index, self.rows, self.place, self.split = name, index, rows, place, split
        self.policy, self.kept, self.identity = policy or SitePolicy(), kept, identity

    @property
    def study(self) -> FederationConfig:
        """What the federation agrees on."""
        return self.place.study

    @property
    def table(self) -> LabelledTable:
        """Its rows."""
        return self.rows.table

    @property
    def images(self) -> ImageTable:
        """Its rows, where they are images."""
        if not isinstance(self.rows.table, ImageTable):
            raise TypeError("the site holds a table, not images")
        return self.rows.table

    @property
    def features(self) -> pd.DataFrame:
        """The columns of its rows, where they are a table's."""
        if not isinstance(self.rows.table, FeatureTable):
            raise TypeError("the site holds images, not a table")
        return self.rows.table.features

    def cells(self, rows: Rows) -> Cells:
        """Count rows by class and group: ``[n_classes, n_groups]``."""
        return self.table.cells(rows)

    def said_cells(self, rows: Rows) -> Cells:
        """The same as they leave the site (`fairfed.sites.policy.said_counts`)."""
        return said_counts(self.cells(rows), self.policy)

    def says(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which counts of rows the site says, ``[n_classes, n_groups]``."""
        return np.asarray(self.said_cells(rows) != UNSAID)

    def said_rows(self, rows: Rows) -> Rows:
        """Those of the rows whose cell is said: of the others no count or sum leaves the site."""
        labels, groups = self.table.labels[rows], self.table.groups[rows]
        return rows[self.says(rows)[labels, groups]]

    # what models take

    @property
    def device(self) -> str:
        """Where its classifiers compute; several GPUs take turns."""
        return self.place.training_device(self.index)

    def inputs(self, rows: Rows, arm: Arm | None = None) -> Inputs:
        """Rows as the study's model, or an arm's, takes them, ``[n, …]``."""
        if self.study.labels.kind == "table":
            import torch

            return torch.from_numpy(encode(self.study.table, self.features.iloc[rows]))
        return self.place.inputs(chosen(self.images.images, rows), arm)

    def model_rows(self, rows: Rows, arm: Arm) -> Inputs:
        """Rows as an arm's model takes them: as `inputs`, or embedded once for all."""
        if arm.system == "zero-shot" or embeds_once(self.study, arm):
            return self.embeddings(rows)
        return self.inputs(rows, arm)

    def embeddings(self, rows: Rows) -> Tensor:
        """CLIP embeddings of rows ``[n, d]``, kept, because every round asks for the same ones."""
        return self.place.memory.get(
            self._key("embeddings", rows.tobytes()),
            lambda: self.place.encoder.embed_images(chosen(self.images.images, rows)),
            lambda found: found.nbytes,
        )

    def class_sums(self) -> PrototypeSums:
        """Exact sums of its training images' CLIP embeddings by class; they stay at home."""
        rows, encoder = self.rows.train, self.place.encoder
        embeddings, labels = self.embeddings(rows).numpy(), self.table.labels[rows]
        return sum_prototypes(embeddings, labels, self.table.classes, encoder=encoder.fingerprint)

    # synthesis

    def plan(self, arm: Arm) -> Cells:
        """Synthetic images that the site wants in an arm, per cell.

        They follow from the counts that the site says: what was wanted leaves it, and would tell
        the others.
        """
        matching = domain_matching_enabled(self.study, arm)
        return self.place.plan(taken_for(self.said_cells(self.rows.train)), matching)

    def pools(self, arm: Arm) -> Cells:
        """Sizes of the pools that its plan draws from, per cell."""
        return pool_sizes(self.plan(arm), self.study)

    def synthesise(self, arm: Arm) -> SyntheticSet:
        """Synthetic images of an arm, made now or taken from the store."""
        maker, pool = self.synthesiser(arm), self.study.synthesis.pool
        now = list[Trials]()
        trials = self.trials(arm, now.append)
        if not self.study.semantic.allow_unknown:
            trials.refuse_unknown()
        found = maker.fill(self.plan(arm), self.index, pool, shares_images(self.study))
        early = sum(trial.made for trial in now)
        return replace(
            found, generated=found.generated + early, reused=max(0, found.reused - early)
        )

    def trials(self, arm: Arm, told: Callable[[Trials], None] = lambda _: None) -> Trials:
        """Whether the generator knows what the site wants of it; `told` if it is tried now."""

        def now() -> Trials:
            found = self._try_generator(arm)
            told(found)
            return found

        return self.place.kept(self._key("trials", conditioning_mode(self.study, arm)), now)

    def synthesiser(self, arm: Arm) -> Synthesiser:
        """What makes and judges its images in an arm, by its own real ones."""
        mode = conditioning_mode(self.study, arm)
        return self.place.kept(self._key("synthesiser", mode), lambda: self._synthesiser(arm))

    def _try_generator(self, arm: Arm) -> Trials:
        """Look at the first images of every class that the site wants in an arm.

        Of its real images, those that it says anything of are compared.
        """
        own = self.said_rows(self.rows.train)
        rows = own[some_of_each(self.table.labels[own])]
        pixels, scorer = self.images.images[rows], self.place.scorer
        real = Known(pixels, scorer.embed(pixels), self.table.labels[rows])
        whose = SHARED if shares_images(self.study) else owner(self.index)
        n, plan, maker = self.study.curation.trial, self.plan(arm), self.synthesiser(arm)
        maker.check(self.pools(arm), whose)  # a prompt that is too long, before the first image
        return try_generator(maker, plan, n, real, tuple(self.study.labels.sensitive), whose)

    def _synthesiser(self, arm: Arm) -> Synthesiser:
        place, how, own = self.place, self.study.conditioning, self.rows.train
        if not len(own) or self.study.train.dp is not None:  # or its own images would be in others
            return place.synthesiser_with(place.describer(arm))
        real = self.place.kept(self._key("references"), self._references)
        memory = vectors = None
        if how.recall:
            held = tuple(self.table.classes[c] for c in np.unique(self.table.labels[own]))
            memory = remember(place.encoder, place.space.table.of(place.space.classes), held)
        if conditioning_mode(self.study, arm) == "prototype":
            found = self.class_sums().prototypes(how.minimum)
            vectors = {name: prototype.vector for name, prototype in found.items()}
        sources = self._images_of if how.start_from_real else None
        return place.synthesiser_with(place.describer(arm, vectors, memory), real, sources)

    def _references(self) -> References:
        rows, table = self.rows.train, self.images
        real = chosen(table.images, rows), table.labels[rows], table.groups[rows]
        return References.of(self.place.scorer, *real)

    def _images_of(self, cell: Cell) -> Sequence[Image]:
        """Its own training images of a cell, to start from."""
        space, rows = self.place.space, self.rows.train
        c, g = space.classes.index(cell.class_name), space.groups.index(cell.group)
        here = (self.table.labels[rows] == c) & (self.table.groups[rows] == g)
        return list(self.images.images[rows[here]])

    def training_set(self, arm: Arm) -> TrainingSet:
        """What the site trains on in an arm."""
        return self.place.memory.get(
            self._key("training", arm.slug), lambda: self._assemble(arm), TrainingSet.nbytes
        )

    def extended_set(self, arm: Arm, extra: Cells, new: Cells) -> TrainingSet:
        """What it trains on with images beyond those that fill its own gaps.

        They are made (or found in the store) at the first call and kept in memory until the next
        plan. Where sites share images, they get the same further ones. `extra` is all that was
        planned so far, per cell, ``[n_classes, n_groups]``, `new` what the last plan added;
        ``spent`` is what that cost.
        """
        memory, key = self.place.memory, self._key("extended", arm.slug)
        plan = extra.tobytes() + new.tobytes()
        memory.forget(
            lambda kept: isinstance(kept, tuple) and kept[:-1] == key and kept[-1] != plan
        )
        return memory.get((*key, plan), lambda: self._extend(arm, extra, new), TrainingSet.nbytes)

    def sampling_weights(self, arm: Arm, real: Rows, synthetic: Rows) -> Tensor | None:
        """Weights of a training set's rows, from the classes of its real and synthetic ones."""
        balance = self.study.synthesis.balance
        return sampling_weights(real, synthetic, self._rendered_share(arm), balance)

    def _rendered_share(self, arm: Arm) -> float:
        """Share of a real image's weight that its rendered copy has.

        Under differential privacy a row counts once, and so has no copy.
        """
        if self.study.train.dp is not None or not domain_matching_enabled(self.study, arm):
            return 0.0
        return self.study.synthesis.autoencode

    def _key(self, *parts: Hashable) -> tuple[Hashable, ...]:
        return self.split, self.name, *parts

    def _assemble(self, arm: Arm) -> TrainingSet:
        import torch

        own = self.rows.train
        labels, groups = self.table.labels[own], self.table.groups[own]
        if not arm.augment:
            real = self.model_rows(own, arm)
            truth = torch.from_numpy(labels), torch.from_numpy(groups)
            return TrainingSet(real, *truth, None, len(own), 0)
        pixels = chosen(self.images.images, own)
        made = self.synthesise(arm)
        if made.requested.any() and len(made.labels) == 0:
            raise PublicInputError(NONE_ACCEPTED.format(who=f"client {self.name}"))
        share = self._rendered_share(arm)
        rendered = self.place.synthesiser.autoencode(np.asarray(pixels)) if share else pixels[:0]
        synthetic = made.images if len(made.labels) else pixels[:0]
        everything = joined([pixels, rendered, synthetic])
        all_labels = np.concatenate([labels, labels[: len(rendered)], made.labels])
        all_groups = np.concatenate([groups, groups[: len(rendered)], made.groups])
        return TrainingSet(
            self.place.inputs(everything, arm),
            torch.from_numpy(all_labels),
            torch.from_numpy(all_groups),
            self.sampling_weights(arm, labels, made.labels),
            len(own),
            len(made.labels),
        )

    def _extend(self, arm: Arm, extra: Cells, new: Cells) -> TrainingSet:
        import torch

        from fairfed.models.inputs import together

        base, maker = self.training_set(arm), self.synthesiser(arm)
        pools, before = self.pools(arm), extra - new
        whose = SHARED if shares_images(self.study) else owner(self.index)
        plans = [
            incremental_images(maker, pools, before, whose),
            incremental_images(maker, pools + before, new, whose),
        ]
        inputs, labels, groups = [base.inputs], [base.labels], [base.groups]
        for made in plans:
            if len(made.labels):
                inputs.append(self.place.inputs(made.images, arm))
                labels.append(torch.from_numpy(made.labels))
                groups.append(torch.from_numpy(made.groups))
        added = sum(len(made.labels) for made in plans)
        all_labels = torch.cat(labels)
        synthetic = all_labels[len(all_labels) - base.n_synthetic - added :]
        real = all_labels[: base.n_real]
        return replace(
            base,
            inputs=together(inputs),
            labels=all_labels,
            groups=torch.cat(groups),
            weights=self.sampling_weights(arm, real.numpy(), synthetic.numpy()),
            n_synthetic=base.n_synthetic + added,
            spent=(plans[-1].generated, plans[-1].reused),
        )
