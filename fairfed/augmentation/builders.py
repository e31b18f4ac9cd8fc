"""Building the configured generator and conditioning."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fairfed.augmentation.output_dir import PROTOTYPES
from fairfed.augmentation.source import memory_of
from fairfed.config import PipelineConfig
from fairfed.sites.conditioning import describer
from fairfed.sites.generation import diffusion_settings
from generators.diffusion import load_generator
from generators.inversion import InversionSettings, load_inversion
from generators.ray import RayGenerator
from generators.requests import Generator
from semantic.conditioning import Describer
from semantic.errors import InputError
from semantic.naming import CROSSED, UNNAMED_GROUPS
from semantic.prototypes import PrototypeSums, sum_prototypes
from semantic.release import Prototype
from semantic.site_files import read_prototypes
from semantic.space import Cell, SemanticSpace

if TYPE_CHECKING:
    from fairfed.augmentation.pipeline import Pipeline

Engine = Literal["inprocess", "ray"]


def build_generator(
    config: PipelineConfig, space: SemanticSpace, engine: Engine, workers: int, closing: ExitStack
) -> Generator:
    """The configured generator; what it holds open is closed with `closing`."""
    if config.synthesis.generator == "inversion":
        return _inversion(config, space)
    settings = diffusion_settings(
        config.generator, config.data.image_size, config.semantic.allow_unknown
    )
    if engine == "ray":
        return closing.enter_context(RayGenerator(partial(load_generator, settings), workers))
    return load_generator(settings)


def build_conditioner(pipeline: Pipeline) -> Describer:
    """The configured conditioning; prototypes that cannot be read are refused."""
    how, prototypes, memory = pipeline.config.conditioning, dict[str, tuple[float, ...]](), None
    if how.mode == "prototype":
        found = _prototypes(pipeline)
        prototypes = {name: one.vector for name, one in found.items() if one.usable}
    if how.recall:
        memory = memory_of(pipeline.scorer, pipeline.source)
        if not memory.seen:
            raise InputError(
                "conditioning.recall composes missing classes from those with training images, "
                "and there is none; switch it off"
            )
    return describer(pipeline.scorer.space, how, None, prototypes, memory, by_name=False)


def _prototypes(pipeline: Pipeline) -> Mapping[str, Prototype]:
    """Prototypes as given, or as this data's training images have them.

    At home they are exact. With `conditioning.epsilon` they are what could be sent to others: a
    noised release, made once and kept, because each further release would cost privacy anew.
    """
    conditioning, output = pipeline.config.conditioning, pipeline.output
    encoder = pipeline.scorer.encoder.fingerprint
    if conditioning.prototypes is not None:
        return read_prototypes(Path(conditioning.prototypes), encoder).prototypes()
    if conditioning.epsilon is None:
        by_class, by_cell = (
            _sums(pipeline, by_cell=by_cell).prototypes(conditioning.minimum)
            for by_cell in (False, True)
        )
        return by_class | by_cell
    if not output.has(PROTOTYPES):
        released = _sums(pipeline, by_cell=False).release(
            conditioning.epsilon, conditioning.delta, conditioning.minimum
        )
        output.begin()  # a release is kept whatever becomes of the plan
        output.write(PROTOTYPES, released.to_json())
    return read_prototypes(output.path / PROTOTYPES, encoder).prototypes()


def _sums(pipeline: Pipeline, *, by_cell: bool) -> PrototypeSums:
    scorer, source, embeddings = pipeline.scorer, pipeline.source, pipeline.references.embeddings
    space, encoder = scorer.space, scorer.encoder.fingerprint
    labels, groups = source.table.labels[source.train], source.table.groups[source.train]
    if not by_cell:
        return sum_prototypes(embeddings, labels, space.classes, encoder=encoder)
    n_groups = len(space.groups)
    names = [str(space.cell(c, g)) for c in range(len(space.classes)) for g in range(n_groups)]
    which = labels * n_groups + groups
    return sum_prototypes(embeddings, which, names, encoder=encoder)


def _inversion(config: PipelineConfig, space: SemanticSpace) -> Generator:
    inversion = config.inversion
    settings = inversion.model_dump(exclude={"classifier", "outputs"})
    return load_inversion(
        Path(str(inversion.classifier)),
        _outputs(space, inversion.outputs or space.classes),
        InversionSettings(**settings, image_size=config.data.image_size),
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
