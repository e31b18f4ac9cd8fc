"""What one site's training images say of classes and cells, summed for others to merge.

What leaves a site speaks of the whole federation's label space, declared by the configuration and
in its order: names taken from the site's own images would tell what it holds. Test images never
enter.
"""

from __future__ import annotations

import numpy as np

from fairfed.augmentation.source import Source, load_source
from fairfed.config import PipelineConfig
from fairfed.config.source import FASHION
from fairfed.sites.sight import check_words
from semantic.encoder import ClipEncoder, load_encoder
from semantic.errors import InputError
from semantic.induction import AttributeSums, induce
from semantic.prototypes import PrototypeSums, sum_prototypes
from semantic.space import Cell

BY = ("class", "cell")
"""What a prototype can be of."""


def attribute_sums(config: PipelineConfig, vocabulary: tuple[str, ...]) -> AttributeSums:
    """Exact counts and sums of the attributes of a site's training images, by class."""
    source = load_source(_by_class_alone(config))
    encoder = _encoder(config)
    rows, table = source.train, source.table
    check_words(config.semantic, table.classes, encoder, vocabulary)
    return induce(encoder, table.images[rows], table.labels[rows], table.classes, vocabulary)


def prototype_sums(config: PipelineConfig, by: str) -> PrototypeSums:
    """Exact counts and sums of the CLIP embeddings of a site's training images, by class or cell.

    Images whose group is unknown are of no cell. Raises `InputError` if `by` is neither `class` nor
    `cell`, the label space is not declared (`check_declared`), or the data or the encoder is not as
    the configuration says.
    """
    if by not in BY:
        raise InputError(f"--by {by!r} is unknown; choose one of {', '.join(BY)}")
    check_declared(config)
    source = load_source(config if by == "cell" else _by_class_alone(config))
    rows, names, which = _cells(config, source) if by == "cell" else _classes(source)
    encoder = _encoder(config)
    check_words(config.semantic, source.table.classes, encoder)
    embeddings = encoder.embed_images(source.table.images[rows]).numpy()
    return sum_prototypes(embeddings, which, names, encoder=encoder.fingerprint)


def check_declared(config: PipelineConfig) -> None:
    """Refuse to name the classes of a release after what the site happens to hold."""
    if config.data.source not in FASHION and not config.data.classes:
        raise InputError(
            "data.classes is empty: a release names the classes of the whole federation, not those "
            "that this site happens to hold, which would tell what it lacks. Declare them in "
            '--config, or as --set \'data.classes=["cat", "dog"]\''
        )


def _by_class_alone(config: PipelineConfig) -> PipelineConfig:
    """The configuration without the sensitive columns, which a class has no use for."""
    if config.data.source in FASHION:
        return config  # the tint changes the images themselves
    columns = config.data.table.model_copy(update={"groups": {}})
    data = config.data.model_copy(update={"sensitive": (), "table": columns})
    synthesis = config.synthesis.model_copy(update={"groups": ()})
    return config.model_copy(update={"data": data, "synthesis": synthesis})


def _encoder(config: PipelineConfig) -> ClipEncoder:
    return load_encoder(config.semantic.encoder)


Positions = np.ndarray[tuple[int], np.dtype[np.int64]]


def _classes(source: Source) -> tuple[Positions, list[str], Positions]:
    """Rows, the names of all classes, and which each row has."""
    rows = source.train
    return rows, list(source.table.classes), source.table.labels[rows]


def _cells(config: PipelineConfig, source: Source) -> tuple[Positions, list[str], Positions]:
    """Rows, the names of all declared cells, and which each row has."""
    table = source.table
    rows = source.train[source.nameable[table.groups[source.train]]]
    groups = _groups(config, source)
    position = np.array([groups.index(g) if g in groups else -1 for g in table.group_names])
    which = table.labels[rows] * len(groups) + position[table.groups[rows]]
    return rows, [str(Cell(c, g)) for c in table.classes for g in groups], which


def _groups(config: PipelineConfig, source: Source) -> tuple[str, ...]:
    """All groups of the federation, in the declared order."""
    names = source.table.group_names
    if config.data.source in FASHION or not config.data.sensitive:
        return names
    declared = config.synthesis.groups
    known = zip(names, source.nameable, strict=True)
    unnamed = [name for name, nameable in known if nameable and name not in declared]
    if unnamed:
        raise InputError(
            f"synthesis.groups: {unnamed[0]!r} of the data is not declared; a release by cell "
            "names the groups of the whole federation, not those that this site happens to hold. "
            'Declare them in --config, or as --set \'synthesis.groups=["f", "m"]\''
        )
    return declared
