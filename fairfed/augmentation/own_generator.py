"""A generator from images of one's own: what `fairfed train-generator` trains on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fairfed.config import PipelineConfig
from fairfed.config.source import FASHION
from fairfed.data import ImageTable, load_images
from fairfed.data.fashion import BUNDLED
from fairfed.data.load import image_table
from fairfed.data.reading import read_records
from fairfed.sites.semantics import attribute_table
from generators.idx import DEBIAN_DIRECTORY
from generators.training.captions import vocabulary
from generators.training.dataset import TrainingImages, Work, load_training_images
from generators.training.making import left_out
from generators.training.presets import PRESETS
from generators.training.text import build_tokenizer
from semantic.errors import InputError
from semantic.naming import CROSSED, UNNAMED_GROUPS
from semantic.space import known_groups

FULL = "fashion-mnist"
LEAST = 200
"""Images that a training needs; with fewer, nothing worth looking at comes out."""
TOO_FEW = (
    "{source}: {n} images to train on, and a generator needs at least {least} (thousands, to be "
    "any good). With fewer, start from your own images (conditioning.start_from_real), or invert a "
    "classifier of them"
)
OTHER_SIZE = "data.image_size {given}: preset {preset} is of {size} pixels; leave the setting out"
ONE_CLASS = "{source}: one class alone ({name}); a generator that is asked by class needs two"


@dataclass(frozen=True, eq=False)
class Material:
    """What a generator is trained on, and real images that it never sees."""

    work: Work
    held_out: TrainingImages  # in the same views and words
    about: str  # what it will have seen, in words


def material(
    config: PipelineConfig,
    folder: Path,
    preset: str,
    *,
    rows: tuple[int, int] | None = None,
    without: Sequence[str] = (),
    effort: float = 1.0,
    caption: str | None = None,
) -> Material:
    """Read the images of a configuration, for a training in `folder`.

    Of the training images those from `rows` of the source alone are used; `without` are classes
    that no network may see; `effort` multiplies the steps of every schedule; `caption` names a
    column of texts. The data's test images are held out. Fashion-MNIST is seen in four tints, less
    the images of the bundled data.

    Raises
    ------
    semantic.errors.InputError
        The preset is unknown, the data cannot be read, or are too few.
    """
    if preset not in PRESETS:
        raise InputError(
            f"--preset {preset!r} is unknown; choose one of {', '.join(PRESETS)}. (A LoRA of a "
            "model that there is: [specialise] in a configuration of `fairfed run`)"
        )
    size = PRESETS[preset].image_size
    if "image_size" in config.data.model_fields_set and config.data.image_size != size:
        raise InputError(OTHER_SIZE.format(given=config.data.image_size, preset=preset, size=size))
    if config.data.source == FULL:
        table = attribute_table(config.semantic, ())
        directory = Path(config.data.directory or DEBIAN_DIRECTORY)
        training, held_out = load_training_images(directory, BUNDLED)
        about = f"the {len(table.classes)} classes of Fashion-MNIST in four tints"
    else:
        data = config.data.model_copy(update={"image_size": size, "synthetic": "leave-out"})
        images, texts = _read(config.model_copy(update={"data": data}), caption)
        table = attribute_table(config.semantic, images.classes).of(images.classes)
        chosen = _chosen(images, rows)
        training = _images(images, texts, chosen[~images.test[chosen]])
        held_out = _images(images, texts, np.flatnonzero(images.test))
        about = f"{len(training.images):,} images of {', '.join(table.prompts)}"
    source = config.data.source
    if len(training.images) < LEAST:
        raise InputError(TOO_FEW.format(source=source, n=len(training.images), least=LEAST))
    if len(table.classes) < 2:
        raise InputError(ONE_CLASS.format(source=source, name=table.classes[0]))
    if without:
        training = training.without(*left_out(without, table))
    said = (training.said_of_groups, training.measured, training.texts)
    tokenizer = build_tokenizer(vocabulary(table, *said))
    sizes = PRESETS[preset].paced(effort)
    work = Work(training, table, tokenizer, folder, config.seed, sizes)
    return Material(work, held_out, about)


def _chosen(table: ImageTable, rows: tuple[int, int] | None) -> npt.NDArray[np.int64]:
    """Positions of the images that come from some rows of the source."""
    if rows is None:
        return np.arange(len(table))
    of_source = np.arange(len(table)) if table.rows is None else table.rows
    return np.flatnonzero((of_source >= rows[0]) & (of_source < rows[1]))


def _read(config: PipelineConfig, caption: str | None) -> tuple[ImageTable, tuple[str, ...]]:
    """The images of a source, and of each the text in a column of captions, if one is named."""
    if caption is None or config.data.source in FASHION:
        return load_images(config), ()
    records = read_records(config.data)
    if caption not in records.columns:
        there = ", ".join(records.columns)
        raise InputError(f"{records.where}: no column {caption!r} (--caption); there are: {there}")
    table = image_table(records, config.data, config.seed)
    values = records.columns[caption]
    of = range(len(table)) if table.rows is None else table.rows.tolist()
    return table, tuple("" if values[i] is None else str(values[i]).strip() for i in of)


def _images(
    table: ImageTable, texts: tuple[str, ...], rows: npt.NDArray[np.int64]
) -> TrainingImages:
    known = known_groups(table.group_names)
    said = [
        name if fits and name not in UNNAMED_GROUPS else ""
        for name, fits in zip(table.group_names, known, strict=True)
    ]
    groups = tuple(" ".join(said[g].split(CROSSED)) for g in table.groups[rows].tolist())
    return TrainingImages(
        table.images[rows],
        table.labels[rows],
        [()] * len(rows),
        tints=(),
        groups=groups if any(groups) else (),
        texts=tuple(texts[row] for row in rows) if texts else (),
    )
