"""What the steps of one augmentation share: data, meaning, models, store; loaded when needed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from evaluation.quality import QualityReport
from fairfed.augmentation.builders import Engine as Engine
from fairfed.augmentation.builders import build_conditioner, build_generator
from fairfed.augmentation.output_dir import OutputDir
from fairfed.augmentation.plan import carries
from fairfed.augmentation.source import Source, load_source, with_unsaid
from fairfed.config import PipelineConfig
from fairfed.sites.generation import diffusion_settings
from fairfed.sites.semantics import semantic_space, store_directory
from fairfed.sites.sight import Sight, forget, look
from generators.curation import Curation, References
from generators.diffusion.families import known_words_of
from generators.lookahead import LookAhead
from generators.plan import Cells
from generators.requests import Image, Request
from generators.store import ImageStore, request_key
from generators.synthesis import Synthesiser
from semantic.conditioning import Describer
from semantic.encoder import ClipEncoder, load_encoder
from semantic.naming import CROSSED
from semantic.space import Cell, CellScorer, SemanticSpace

OWNER = "augment"
"""Whose images these are, in seeds and in the store: never those of a federation's clients."""

BLIND_CHECKS = ("margin", "attributes")
"""Checks that say nothing where CLIP does not know the classes."""

Rows = npt.NDArray[np.int64]


class Watcher(Protocol):
    """Is told what happens, in this order."""

    def planned(self, plan: dict[str, Any]) -> None:
        """`plan.json` is written."""

    def began(self, step: str, images: int) -> None:
        """A step that handles about so many images begins."""

    def images_done(self, count: int, made: int = 0) -> None:
        """So many more images were made, found in the store, or judged."""

    def ended(self, step: str, result: dict[str, Any]) -> None:
        """A step is done; `result` is what it wrote."""

    def assessed(self, report: QualityReport) -> None:
        """`quality.json` is written."""


@dataclass(eq=False)
class Pipeline:
    """One augmentation at work; a context manager, because a generator may hold processes.

    Images are made here, or by so many workers of Ray; they are the same.
    """

    config: PipelineConfig
    output: OutputDir
    watcher: Watcher
    engine: Engine = "inprocess"
    workers: int = 2
    _open: ExitStack = field(default_factory=ExitStack, init=False)
    _own: dict[Cell, list[Image]] = field(default_factory=dict, init=False)

    def __enter__(self) -> Pipeline:
        """Nothing is loaded yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the generator's processes, where it has any."""
        self._open.close()

    @cached_property
    def source(self) -> Source:
        """The real images, with nothing said of sensitive columns that cannot be seen.

        They keep these where something carries them.
        """
        given = self._given
        if self.sight.hidden and carries(self.config):
            return with_unsaid(given, self.sight.hidden)
        return replace(given, table=forget(given.table, self.sight.hidden))

    @cached_property
    def _given(self) -> Source:
        return load_source(self.config)

    @cached_property
    def sight(self) -> Sight:
        """What CLIP and the generator know of the classes and groups."""
        config, given = self.config, self._given
        inverts = config.synthesis.generator == "inversion"
        if inverts and CROSSED in "".join(config.inversion.outputs):
            return Sight()  # the classifier makes the groups, and no word is read
        unknown = config.semantic.allow_unknown
        made = diffusion_settings(config.generator, config.data.image_size, unknown)
        words = None if inverts else known_words_of(made)
        return look(
            config.semantic, config.data.sensitive, given.table, given.train, self._encoder, words
        )

    @cached_property
    def _encoder(self) -> ClipEncoder:
        return load_encoder(self.config.semantic.encoder)

    def check(self, wanted: Cells) -> None:
        """Refuse what cannot be made, before anything is: an unknown class, an unfit prompt."""
        if wanted.any() and self.config.synthesis.generator == "diffusion":
            self.sight.check()
            self.synthesiser().check(wanted, OWNER)

    @cached_property
    def space(self) -> SemanticSpace:
        """The label space with meaning."""
        table = self.source.table
        space = semantic_space(self.config.semantic, table.classes, table.group_names)
        return replace(space, spoken=self.source.spoken)

    @cached_property
    def generator(self) -> LookAhead:
        """The configured generator."""
        made = build_generator(self.config, self.space, self.engine, self.workers, self._open)
        return LookAhead(made)

    @cached_property
    def store(self) -> ImageStore:
        """The store of the generator's images."""
        return ImageStore(self.store_root, self.generator.fingerprint)

    def lacks(self, request: Request) -> bool:
        """Whether the store has no file of a request's image."""
        return not self.store.path_of(request_key(request, self.store.generator)).is_file()

    @property
    def store_root(self) -> Path:
        """Directory of all stores."""
        return store_directory(self.config.store)

    @cached_property
    def scorer(self) -> CellScorer:
        """CLIP's scores of the cells."""
        return CellScorer(self._encoder, self.space)

    @cached_property
    def conditioner(self) -> Describer:
        """From cells to what conditions the generator."""
        return build_conditioner(self)

    @cached_property
    def references(self) -> References:
        """What the real training images contribute to curation."""
        source = self.source
        return References.of(self.scorer, *self._rows(source.train), self._rows(source.test))

    def _rows(self, rows: Rows) -> tuple[Image, Rows, Rows]:
        table = self.source.table
        return table.images[rows], table.labels[rows], table.groups[rows]

    def embed(self, rows: Rows) -> npt.NDArray[np.float32]:
        """CLIP embeddings of real images, ``[n, d]``; of the training images only once."""
        if "references" in vars(self) and np.array_equal(rows, self.source.train):
            return self.references.embeddings
        return self.scorer.embed(self.source.table.images[rows])

    @property
    def checks(self) -> tuple[str, ...]:
        """The configured checks, less those that a CLIP which knows no class makes nonsense of."""
        blind = BLIND_CHECKS if self.sight.refusal else ()
        return tuple(check for check in self.config.curation.checks if check not in blind)

    def synthesiser(
        self, references: References | None = None, max_tries: float | None = None
    ) -> Synthesiser:
        """The way from cells to accepted images.

        The references calibrate the checks; `max_tries` replaces the configured budget.
        """
        curation = self.config.curation.model_dump(exclude={"trial"})
        if max_tries is not None:
            curation["max_tries"] = max_tries
        curation["checks"] = self.checks
        conditioning = self.config.conditioning
        return Synthesiser(
            self.generator,
            self.scorer,
            self.store,
            Curation(**curation),
            self.config.seed,
            self.watcher.images_done,
            conditioner=self.conditioner,
            sources=self._sources if conditioning.start_from_real else None,
            references=references,
        )

    def _sources(self, cell: Cell) -> Sequence[Image]:
        """The cell's own training images."""
        if cell not in self._own:
            table = self.source.table
            where = table.classes.index(cell.class_name), table.group_names.index(cell.group)
            self._own[cell] = list(table.images[self.source.rows_of(*where)])
        return self._own[cell]
