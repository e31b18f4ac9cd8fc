"""A simulation of zero-shot learning: clients hold blocks of whole classes, as features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from fairfed.config import Config
from fairfed.config.labels import LabelSpace, found_space
from fairfed.config.zsl import ZslConfig
from fairfed.data.federation import load_undivided
from fairfed.data.fingerprint import fingerprint
from fairfed.once import once
from fairfed.sites.semantics import attribute_table
from fairfed.sites.simulated import SimulatedSites
from fairfed.systems.zsl.split import Split, split_classes, split_rows
from fairfed.systems.zsl.table import (
    FeatureTable,
    Floats,
    load_xlsa17,
    require_files,
    unit_attributes,
)
from fairfed.systems.zsl.variants import variants_of
from semantic.attributes import AttributeTable, load_attributes
from semantic.encoder import load_encoder
from semantic.formats import SPLITS_FILE
from semantic.naming import TEMPLATES, UNNAMED_GROUPS
from semantic.space import Cell, SemanticSpace


class ZslSites(SimulatedSites):
    """Clients of federated zero-shot learning, cut from one table of features."""

    @property
    def zsl(self) -> ZslConfig:
        """The section `[zsl]`."""
        if self.config.zsl is None:
            raise TypeError("the configuration has no section [zsl]")
        return self.config.zsl

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the clients: their numbers."""
        return tuple(map(str, range(self.config.partition.clients)))

    @once
    def labels(self) -> LabelSpace:
        """The classes, and the groups that images are shown in."""
        table = self.features
        sensitive = self.config.data.sensitive if len(table.groups) > 1 else ()
        size = self.config.data.image_size
        return found_space(table.classes, table.groups, sensitive, "images", size)

    @once
    def features(self) -> FeatureTable:
        """All rows."""
        folder = self.zsl.features
        if folder is None:
            return _embedded(self.config)
        require_files(Path(folder))
        table = load_attributes(Path(folder) / SPLITS_FILE)
        return load_xlsa17(Path(folder), _texts(self.config, table))

    @once
    def split(self) -> Split:
        """Who holds which of them, and what validates and tests."""
        table = self.features
        classes = split_classes(table, attributes_of(self.config, table.classes), self.zsl)
        return split_rows(table, classes, self.config.partition.clients, self.config.seed)

    @property
    def scale(self) -> float:
        """Factor that brings features to a mean square near 1, without asking anybody's rows.

        CLIP's embeddings have length 1, so that it follows from their dimension.
        """
        if self.zsl.feature_scale is not None:
            return self.zsl.feature_scale
        dimension = self.features.features.shape[1]
        return float(dimension**0.5) if self.zsl.features is None else 1.0

    def held(self, client: int) -> tuple[FeatureTable, tuple[int, ...]]:
        """What a client holds: its rows alone, and its classes."""
        table, own = self.features, self.split.train[self.position(client)]
        cut = {name: getattr(table, name)[own] for name in ("features", "labels", "test")}
        return replace(table, **cut), self.split.blocks[client]

    @property
    def source(self) -> str:
        """What the data are called in messages to the user."""
        return self.zsl.features or self.config.data.source

    def fingerprint(self) -> str:
        """A one-way hash of all rows and of who holds which.

        Embeddings differ in their last digits from machine to machine; where CLIP makes the
        features, labels and division are compared alone.
        """
        table = self.features
        stored = [table.features, table.attributes] if self.zsl.features is not None else []
        return fingerprint(table.labels, table.test, table.classes, stored, self.split)


def attributes_of(config: Config, classes: tuple[str, ...]) -> AttributeTable:
    """The class × attribute table of exactly these classes."""
    folder = None if config.zsl is None else config.zsl.features
    if folder is not None:
        return load_attributes(Path(folder) / SPLITS_FILE).of(classes)
    return attribute_table(config.semantic, classes).of(classes)


def _embedded(config: Config) -> FeatureTable:
    """CLIP embeddings of the configured images."""
    images = load_undivided(config)
    attributes = attribute_table(config.semantic, images.classes)
    encoder = load_encoder(config.semantic.encoder)
    return FeatureTable(
        features=encoder.embed_images(images.images).numpy(),
        labels=images.labels,
        test=images.test,
        classes=images.classes,
        attributes=unit_attributes(attributes, images.classes),
        texts=_texts(config, attributes.of(images.classes)),
        rectified=False,
        groups=images.group_names,
    )


def _texts(config: Config, table: AttributeTable) -> Floats:
    """Unit embeddings of "a photo of a {noun}", ``[C, T]``; T = 0 where no variant uses them.

    The paper's prompt ends in a full stop; ours is the first of `semantic.templates`, as the
    configured CLIP was trained with.
    """
    if config.zsl is None or not any(variant.text for variant in variants_of(config.zsl)):
        return np.zeros((len(table.classes), 0), np.float32)
    templates = config.semantic.templates or TEMPLATES
    space = SemanticSpace(table.classes, UNNAMED_GROUPS[:1], table, templates)
    prompts = [space.prompts(Cell(name, UNNAMED_GROUPS[0]))[0] for name in table.classes]
    found: Floats = load_encoder(config.semantic.encoder).embed_texts(prompts).numpy()
    return found
