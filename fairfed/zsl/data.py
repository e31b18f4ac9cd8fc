"""The features that a configuration names, loaded once per process."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from fairfed.config import Config
from fairfed.once import once
from fairfed.semantics import attribute_table
from fairfed.site import configuration
from fairfed.zsl.split import Split, split_classes, split_rows
from fairfed.zsl.table import FeatureTable, Floats, unit_attributes
from fairfed.zsl.variants import settings, variants_of
from fairfed.zsl.xlsa17 import load_xlsa17, require_files
from semantic.attributes import AttributeTable, load_attributes
from semantic.formats import SPLITS_FILE
from semantic.space import TEMPLATES, UNNAMED_GROUPS, Cell, SemanticSpace

_LOADING = threading.RLock()


def scale(toml: str) -> float:
    """Factor that brings features to a mean square near 1, without asking anybody's rows.

    CLIP's embeddings have length 1, so that it follows from their dimension.
    """
    zsl = settings(configuration(toml))
    if zsl.feature_scale is not None:
        return zsl.feature_scale
    dimension = features(toml).features.shape[1]
    return float(dimension**0.5) if zsl.features is None else 1.0


@once(_LOADING)
def features(toml: str) -> FeatureTable:
    """The rows of the configuration that the server sent."""
    config = configuration(toml)
    folder = settings(config).features
    if folder is None:
        return _embedded(config)
    require_files(Path(folder))
    table = load_attributes(Path(folder) / SPLITS_FILE)
    return load_xlsa17(Path(folder), _texts(config, table))


@once(_LOADING)
def split(toml: str) -> Split:
    """Who holds which of them, and what validates and tests."""
    config, table = configuration(toml), features(toml)
    classes = split_classes(table, attributes_of(config, table.classes), settings(config))
    return split_rows(table, classes, config.partition.clients, config.seed)


def attributes_of(config: Config, classes: tuple[str, ...]) -> AttributeTable:
    """The class × attribute table of exactly these classes."""
    folder = settings(config).features
    if folder is not None:
        return load_attributes(Path(folder) / SPLITS_FILE).of(classes)
    return attribute_table(config.semantic, classes).of(classes)


def _embedded(config: Config) -> FeatureTable:
    """CLIP embeddings of the configured images, shaded evenly where they are shaded.

    Divided as the images are, they would give away by their tint whose they are; the clients of
    zero-shot learning differ in classes alone.
    """
    from fairfed.data import load_images
    from fairfed.data.federation import shade_if_asked
    from semantic.encoder import load_encoder

    images = load_images(config)
    rows = [np.arange(len(images), dtype=np.int64)]
    images = shade_if_asked(images, rows, config.data, config.seed, even=True)
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
    from semantic.encoder import load_encoder

    if not any(variant.text for variant in variants_of(settings(config))):
        return np.zeros((len(table.classes), 0), np.float32)
    templates = config.semantic.templates or TEMPLATES
    space = SemanticSpace(table.classes, UNNAMED_GROUPS[:1], table, templates)
    prompts = [space.prompts(Cell(name, UNNAMED_GROUPS[0]))[0] for name in table.classes]
    found: Floats = load_encoder(config.semantic.encoder).embed_texts(prompts).numpy()
    return found
