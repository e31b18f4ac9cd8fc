"""Building the configured generator and conditioning."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fairfed.augmentation.recalling import RecallingConditioner, memory_of
from fairfed.augmentation.workspace import PROTOTYPES
from fairfed.generation import settings_of
from generators.requests import Generator
from semantic.conditioning import Conditioner
from semantic.errors import InputError
from semantic.prototypes import PrototypeSums, sum_prototypes
from semantic.release import Prototype
from semantic.site_files import read_prototypes
from semantic.space import CROSSED, UNNAMED_GROUPS, Cell, SemanticSpace

if TYPE_CHECKING:
    from fairfed.augmentation.job import Job

Vectors = dict[str, tuple[float, ...]]


def build_generator(job: Job, closing: ExitStack) -> Generator:
    """The configured generator; what it holds open is closed with `closing`.

    Raises
    ------
    semantic.errors.InputError
        If a model is not to be had, or Ray is not installed.
    """
    config = job.config
    if config.synthesis.generator == "inversion":
        return _inversion(job)
    settings = settings_of(config)
    from generators.diffusion import load_generator

    if job.engine == "ray":
        from generators.ray import RayGenerator

        return closing.enter_context(RayGenerator(partial(load_generator, settings), job.workers))
    return load_generator(settings)


def build_conditioner(job: Job) -> Conditioner:
    """The configured conditioning.

    Raises
    ------
    semantic.errors.InputError
        If a class among `conditioning.unnamed` is none, or prototypes cannot be read.
    """
    conditioning = job.config.conditioning
    unknown = [name for name in conditioning.unnamed if name not in job.space.classes]
    if unknown:
        raise InputError(
            f"conditioning.unnamed: {unknown[0]!r} is no class; there are: "
            f"{', '.join(job.space.classes)}"
        )
    prototypes = _prototypes(job) if conditioning.mode == "prototype" else {}
    plain = Conditioner(
        job.space, conditioning.mode, conditioning.unnamed, conditioning.weight, prototypes
    )
    if not conditioning.recall:
        return plain
    memory = memory_of(job.scorer, job.source)
    if not memory.seen:
        raise InputError(
            "conditioning.recall composes missing classes from those with training images, and "
            "there is none; switch it off"
        )
    return RecallingConditioner(
        plain.space, plain.mode, plain.unnamed, plain.weight, prototypes, memory=memory
    )


def _prototypes(job: Job) -> Vectors:
    """Prototypes as given, or as this data's training images have them.

    At home they are exact. With `conditioning.epsilon` they are what could be sent to others: a
    noised release, made once and kept, because each further release would cost privacy anew.
    """
    conditioning = job.config.conditioning
    if conditioning.prototypes is not None:
        return _usable(read_prototypes(Path(conditioning.prototypes), _encoder(job)).prototypes())
    if conditioning.epsilon is None:
        by_class = _sums(job, by_cell=False).prototypes(conditioning.minimum)
        by_cell = _sums(job, by_cell=True).prototypes(conditioning.minimum)
        return _usable(by_class | by_cell)
    if not job.workspace.has(PROTOTYPES):
        released = _sums(job, by_cell=False).release(
            conditioning.epsilon, conditioning.delta, conditioning.minimum
        )
        job.workspace.begin()  # a release is kept whatever becomes of the plan
        job.workspace.write(PROTOTYPES, released.to_json())
    return _usable(read_prototypes(job.workspace.path / PROTOTYPES, _encoder(job)).prototypes())


def _usable(found: Mapping[str, Prototype]) -> Vectors:
    return {name: prototype.vector for name, prototype in found.items() if prototype.usable}


def _sums(job: Job, *, by_cell: bool) -> PrototypeSums:
    space, source = job.space, job.source
    embeddings = job.references.embeddings
    labels, groups = source.table.labels[source.train], source.table.groups[source.train]
    if not by_cell:
        return sum_prototypes(embeddings, labels, space.classes, encoder=_encoder(job))
    n_groups = len(space.groups)
    names = [str(space.cell(c, g)) for c in range(len(space.classes)) for g in range(n_groups)]
    return sum_prototypes(embeddings, labels * n_groups + groups, names, encoder=_encoder(job))


def _encoder(job: Job) -> str:
    return job.scorer.encoder.fingerprint


def _inversion(job: Job) -> Generator:
    from generators.inversion import InversionSettings, load_inversion

    inversion = job.config.inversion
    settings = inversion.model_dump(exclude={"classifier", "outputs"})
    outputs = _outputs(job.space, inversion.outputs or job.space.classes)
    return load_inversion(
        Path(str(inversion.classifier)),
        outputs,
        InversionSettings(**settings, image_size=job.config.data.image_size),
    )


def _outputs(space: SemanticSpace, names: tuple[str, ...]) -> list[Cell]:
    """Cells that a classifier's outputs stand for: of a class alone, or of a class and a group."""
    known = {name: Cell(name, UNNAMED_GROUPS[0]) for name in space.classes}
    known |= {f"{c}{CROSSED}{g}": Cell(c, g) for c in space.classes for g in space.groups}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(
            f"inversion.outputs: {unknown[0]!r} is neither a class nor a cell; there are: "
            f"{', '.join(known)}"
        )
    return [known[name] for name in names]
