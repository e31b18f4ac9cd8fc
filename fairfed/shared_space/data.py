"""Embeddings of images, captions and classes, and who holds which rows; kept per process."""

from __future__ import annotations

import re
import threading
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fairfed.config import Config
from fairfed.data import load_images
from fairfed.data.federation import shade_if_asked
from fairfed.data.table import ImageTable
from fairfed.once import once
from fairfed.semantics import semantic_space
from fairfed.shared_space.holdings import Holding, Rows, divide
from fairfed.shared_space.variants import settings
from fairfed.site import configuration
from semantic.conditioning import UNNAMED_NOUN
from semantic.encoder import ClipEncoder, load_encoder
from semantic.errors import InputError
from semantic.space import CROSSED, UNNAMED_GROUPS, Cell, SemanticSpace

_LOADING = threading.RLock()
_CAPTIONS = 42
_TEXTS = 256


@once(_LOADING)
def images(toml: str) -> ImageTable:
    """All images, shaded evenly where they are shaded: the clients differ in classes alone."""
    config = configuration(toml)
    table = load_images(config)
    rows = [np.arange(len(table), dtype=np.int64)]
    return shade_if_asked(table, rows, config.data, config.seed, even=True)


@once(_LOADING)
def holdings(toml: str) -> tuple[Holding, ...]:
    """Who holds what."""
    config, table = configuration(toml), images(toml)
    missing, arriving = positions(config, table.classes)
    shared = settings(config)
    return divide(table.labels, table.test, missing, arriving, shared, config.seed)


def positions(config: Config, classes: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Positions of the missing classes, and of the one that arrives.

    Raises
    ------
    InputError
        If a named class is not there, or is both.
    """
    missing = settings(config).missing
    arriving: tuple[str, ...] = ()
    if config.arrival is not None:
        arriving = (config.arrival.class_name,)
    for name, where in (
        *((name, "shared.missing") for name in missing),
        *((name, "arrival.class_name") for name in arriving),
    ):
        if name not in classes:
            known = ", ".join(classes)
            raise InputError(f"{where}: there is no class {name!r}; the data has {known}")
    if set(missing) & set(arriving):
        raise InputError(
            f"arrival.class_name {arriving[0]!r} is in shared.missing, too: a class that arrives "
            "is described by nobody before; drop it from there"
        )
    return tuple(map(classes.index, missing)), tuple(map(classes.index, arriving))


def encoder(config: Config) -> ClipEncoder:
    """The configured CLIP, loaded once per process."""
    return load_encoder(config.semantic.encoder)


def space(toml: str) -> SemanticSpace:
    """Classes and groups with what they are called and look like."""
    config, table = configuration(toml), images(toml)
    return semantic_space(config.semantic, table.classes, table.group_names)


def image_embeddings(toml: str, rows: Rows) -> Tensor:
    """CLIP embeddings of images ``[n, d]``, made once per process."""
    with _LOADING:
        return _image_embeddings(toml, rows.tobytes())


@lru_cache(maxsize=256)
def _image_embeddings(toml: str, rows: bytes) -> Tensor:
    chosen = images(toml).images[np.frombuffer(rows, np.int64)]
    return encoder(configuration(toml)).embed_images(chosen)


def caption_embeddings(toml: str, rows: Rows) -> Tensor:
    """CLIP embeddings of the rows' captions ``[n, d]``, made once per process."""
    with _LOADING:
        return _caption_embeddings(toml, rows.tobytes())


@lru_cache(maxsize=256)
def _caption_embeddings(toml: str, rows: bytes) -> Tensor:
    return embed_texts(configuration(toml), captions(toml, np.frombuffer(rows, np.int64)))


def embed_texts(config: Config, texts: list[str]) -> Tensor:
    """CLIP embeddings of texts ``[n, d]``, in batches."""
    clip = encoder(config)
    batches = (texts[i : i + _TEXTS] for i in range(0, len(texts), _TEXTS))
    return torch.cat([torch.zeros(0, clip.dimension), *map(clip.embed_texts, batches)])


def captions(toml: str, rows: Rows) -> list[str]:
    """What somebody who saw each image wrote of it: class or not, attributes, tint, shape.

    A row's caption depends on the seed and the row alone.
    """
    from generators.training.captions import CaptionStyle, caption
    from semantic.measures import measured_words

    config, table, known = configuration(toml), images(toml), space(toml).table
    words = measured_words(table.images[rows])
    found = []
    for row, own in zip(rows.tolist(), words, strict=True):
        rng = np.random.default_rng([config.seed, _CAPTIONS, row])
        label = known.row(table.classes[int(table.labels[row])])
        values = table.group_names[int(table.groups[row])].split(CROSSED)
        said = " ".join(value for value in values if value not in UNNAMED_GROUPS)
        text = caption(rng, known, label, said, own, CaptionStyle())
        found.append(" ".join(text.split()))
    return found


def telling(toml: str, rows: Rows) -> Rows:
    """The rows whose captions hold an attribute of the table or a measured property."""
    with _LOADING:
        return rows[_tells(toml, rows.tobytes())]


@lru_cache(maxsize=256)
def _tells(toml: str, rows: bytes) -> npt.NDArray[np.bool_]:
    from semantic.measures import WORDS

    words = "|".join(map(re.escape, (*space(toml).table.attributes, *WORDS)))
    held = re.compile(rf"(?<!\w)({words})(?!\w)")
    written = captions(toml, np.frombuffer(rows, np.int64))
    return np.array([held.search(text) is not None for text in written], np.bool_)


@once(_LOADING)
def class_vectors(toml: str) -> Tensor:
    """Unit embeddings ``[C, d]`` that stand for the classes."""
    config, known = configuration(toml), space(toml)
    found = embed_texts(config, [class_text(known, name, config) for name in known.classes])
    if config.arrival is not None and config.arrival.recall:
        from fairfed.shared_space.memory import recalled_vector

        row = known.classes.index(config.arrival.class_name)
        found[row] = recalled_vector(toml, found)
    return found


def class_text(known: SemanticSpace, name: str, config: Config) -> str:
    """What is embedded for a class.

    Raises
    ------
    InputError
        If it shall be its attributes and it has none.
    """
    asked = settings(config).class_text
    cell, phrases = Cell(name, UNNAMED_GROUPS[0]), known.table.phrases(name)
    if asked == "attributes" and not phrases:
        raise InputError(
            f"class {name!r} has no attribute of at least 0.5 in the attribute table; fill in its "
            "row, or set shared.class_text = 'name'"
        )
    noun = UNNAMED_NOUN if asked == "attributes" else None
    opening = known.prompts(cell, noun)[0]
    return ", ".join([opening, *phrases]) if asked != "name" else opening
