"""What a machine has of its own under a study: CLIP, generator, what both know, and memory.

A server has one as well as every site; the sites of a simulation share one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from fairfed.config import Arm, GeneratorConfig
from fairfed.config.classifiers import MODELS, own_code
from fairfed.config.federation import FederationConfig
from fairfed.config.training import adaptation_of, conditioning_mode, embeds_once, trains_part
from fairfed.data.stored import StoredImages
from fairfed.data.tables import input_names
from fairfed.once import once
from fairfed.sites.conditioning import describer
from fairfed.sites.generation import diffusion_settings
from fairfed.sites.memory import Memory
from fairfed.sites.model_sources import ENCODER, WEIGHTS, ModelSources, weights_fingerprint
from fairfed.sites.personal import norms_of
from fairfed.sites.progress import images_done
from fairfed.sites.semantics import Meaning, semantic_space, store_directory
from fairfed.sites.sight import Sight, look, read_names
from generators.device import torch_device
from generators.diffusion import load_generator
from generators.diffusion.families import known_words_of
from generators.lookahead import LookAhead
from generators.plan import Budget, Cells, plan_cells, split_evenly
from generators.store import ImageStore
from generators.synthesis import Curation, Synthesiser
from semantic.attributes import AttributeTable
from semantic.encoder import load_encoder
from semantic.errors import InputError
from semantic.own_code import own_function
from semantic.space import Cell, CellScorer, SemanticSpace, known_groups

if TYPE_CHECKING:
    from torch import nn

    from fairfed.data import ImageTable
    from fairfed.data.stored import Images
    from fairfed.models import AdaptedClip, ClipHead
    from fairfed.models.inputs import Inputs
    from fairfed.models.partial import PartlyTrained
    from fairfed.sites.conditioning import Vectors
    from generators.curation import References
    from generators.diffusion import DiffusionSettings
    from generators.requests import Image
    from semantic.conditioning import Describer
    from semantic.encoder import ClipEncoder
    from semantic.memory import SemanticMemory

T = TypeVar("T")

OTHER_WEIGHTS = (
    "{what} {source!r} has other weights here ({own:.12}) than the study asks for ({asked:.12}); "
    "install the same ones"
)
NO_WEIGHTS = (
    "the study trains a part of a pretrained network, whose weights every site must have: name the "
    "file in models.weights"
)
NO_NORM = (
    "train.batch_norm = 'local', and model {model!r} has no BatchNorm layer; leave it out, or "
    "choose another model"
)


class Workplace:
    """The models of one machine, as a study uses them; each is loaded at its first use.

    `looked_at` gives the images by which CLIP's sight is judged, and which of their rows; None on a
    machine without images. What is put together here is in `memory`, or else in one of this process
    alone.
    """

    def __init__(
        self,
        study: FederationConfig,
        sources: ModelSources,
        looked_at: Callable[[], tuple[ImageTable, npt.NDArray[np.int64]]] | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.study, self.sources = study, sources
        self.labels = study.labels
        self.memory = memory or Memory()
        self._looked_at = looked_at
        self._lock = threading.RLock()
        self._kept: dict[Hashable, Any] = {}

    def kept(self, key: Hashable, make: Callable[[], T]) -> T:
        """What a system needs for all clients of this machine: made once, by one thread."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
            found: T = self._kept[key]
            return found

    @once
    def meaning(self) -> Meaning:
        """What classes are called, and what may be unknown."""
        rows = self.study.attributes
        table: AttributeTable | str = "names"
        if rows is not None:
            table = AttributeTable(
                rows.classes, rows.prompts, rows.attributes,
                np.reshape(np.array(rows.values, np.float64), (len(rows.classes), -1)),
            )  # fmt: skip
        semantic = self.study.semantic
        return Meaning(
            self.sources.encoder, table, semantic.templates, semantic.class_prompts,
            semantic.group_prompts, semantic.allow_unknown,
        )  # fmt: skip

    @once
    def encoder(self) -> ClipEncoder:
        """CLIP, with the weights that the study asks for, or an `InputError`."""
        found = load_encoder(self.sources.encoder)
        asked = self.study.fingerprints.get(ENCODER, found.fingerprint)
        if asked != found.fingerprint:
            raise InputError(
                OTHER_WEIGHTS.format(
                    what="semantic.encoder", source=self.sources.encoder, own=found.fingerprint,
                    asked=asked,
                )
            )  # fmt: skip
        return found

    @once
    def space(self) -> SemanticSpace:
        """Classes and groups with what they are called."""
        return semantic_space(self.meaning, self.labels.classes, self.labels.groups)

    @once
    def diffusion(self) -> DiffusionSettings:
        """Settings of the generator."""
        sources = self.sources
        generator = GeneratorConfig(
            **self.study.generator.model_dump(), model=sources.generator, lora=sources.lora,
            embeddings=sources.embeddings, device=sources.device,
        )  # fmt: skip
        size, unknown = self.labels.image_size, self.study.semantic.allow_unknown
        return diffusion_settings(generator, size, unknown)

    @once
    def sight(self) -> Sight:
        """What CLIP and the generator know of the classes and groups."""
        return self.memory.get("sight", self._look, lambda _: 0)

    def _look(self) -> Sight:
        words = known_words_of(self.diffusion)
        if self._looked_at is None:
            return read_names(self.meaning, self.labels, self.encoder, words)
        table, rows = self._looked_at()
        sensitive = tuple(self.labels.sensitive)
        return look(self.meaning, sensitive, table, rows, self.encoder, words)

    @once
    def spoken(self) -> dict[str, str]:
        """What is said of each group."""
        return self.sight.spoken(self.labels.groups)

    @once
    def scorer(self) -> CellScorer:
        """CLIP's scores of the cells, as far as it can see what sets them apart."""
        return CellScorer(self.encoder, replace(self.space, spoken=self.spoken))

    def describer(
        self,
        arm: Arm | None = None,
        own: Vectors | None = None,
        memory: SemanticMemory | None = None,
    ) -> Describer:
        """What describes images in an arm, or in none; `own` prototypes are a site's."""
        study = self.study
        mode, released = conditioning_mode(study, arm), study.prototypes
        vectors = dict(own or {})
        if released is not None:
            vectors |= zip(released.classes, released.vectors, strict=True)
        return describer(self.scorer.space, study.conditioning, mode, vectors, memory)

    @once
    def synthesiser(self) -> Synthesiser:
        """The pipeline from plans to accepted images, at a machine that holds no real ones."""
        return self.synthesiser_with(self.describer())

    def synthesiser_with(
        self,
        conditioner: Describer,
        references: References | None = None,
        sources: Callable[[Cell], Sequence[Image]] | None = None,
    ) -> Synthesiser:
        """The pipeline with a conditioning of its own, and a site's real images; not kept."""
        self.sight.check()
        return self._synthesiser(self.scorer, conditioner, references=references, sources=sources)

    def synthesiser_of(
        self, space: SemanticSpace, conditioner: Describer, whole_batches: bool = True
    ) -> Synthesiser:
        """The pipeline for a label space and a conditioning, whatever CLIP knows of them."""
        scorer = CellScorer(self.encoder, space)
        return self._synthesiser(scorer, conditioner, whole_batches=whole_batches)

    def _synthesiser(
        self, scorer: CellScorer, conditioner: Describer, whole_batches: bool = True, **real: Any
    ) -> Synthesiser:
        """Raises `InputError` if a model is not to be had."""
        generator = LookAhead(load_generator(self.diffusion))
        return Synthesiser(
            generator,
            scorer,
            self.kept("store", lambda: self._store(generator.fingerprint)),
            Curation(**self.study.curation.model_dump(exclude={"trial"})),
            self.study.seed,
            images_done,
            conditioner=conditioner,
            whole_batches=whole_batches,
            **real,
        )

    def _store(self, fingerprint: str) -> ImageStore:
        return ImageStore(store_directory(self.sources.store), fingerprint)

    def plan(self, real: Cells, domain_matching: bool) -> Cells:
        """Synthetic images that a client with these real ones shall have, per cell.

        Groups of which the same is said are one to the plan; what it wants of them is spread evenly
        over those whose values are known.
        """
        how, names = self.study.synthesis, self.labels.groups
        present = how.domain_matching_present if domain_matching else 0
        budget = Budget(how.per_class, how.cell_target, present)
        known = known_groups(names)
        said = [self.spoken.get(name, name) for name in names]
        which = np.array([list(dict.fromkeys(said)).index(name) for name in said])
        joined = np.arange(which.max() + 1)
        held = np.stack([real[:, which == i].sum(1) for i in joined], 1)
        named = np.array([known[which == i].any() for i in joined])
        return split_evenly(plan_cells(held, budget, named), np.where(known, which, -1))

    # classifiers

    def training_device(self, number: int) -> str:
        """Torch's name of where a classifier computes; by its number, if there are several GPUs."""
        if self.sources.training == "cpu":
            return "cpu"
        import torch

        found = torch_device(self.sources.training, "device")
        return f"cuda:{number % torch.cuda.device_count()}" if found == "cuda" else found

    def zero_shot_head(self) -> ClipHead:
        """CLIP's classifier of the classes by their names."""
        from fairfed.models.adapted import zero_shot_head

        return zero_shot_head(self.encoder, self.space)

    def model(self, arm: Arm | None = None) -> nn.Module:
        """The untrained model of the study, or of an arm; the same for server and sites."""
        from fairfed.models import build_model

        study, classes = self.study, len(self.labels.classes)
        if study.model == "clip":
            return self._adapted(arm)
        inputs, size = 0, self.labels.image_size
        if self.labels.kind == "table":
            inputs = len(input_names(study.table))
        encoder = self.encoder if study.model == "clip-head" else None

        def build() -> nn.Module:
            return build_model(
                study.model, classes, size, seed=study.seed, encoder=encoder, inputs=inputs
            )

        if study.model in MODELS:
            return build()
        # Built once, before clients train: what it draws is PyTorch's, which threads share.
        if not trains_part(study, arm):
            return deepcopy(self.kept(("own model", inputs), build))
        from generators.lora import copy_sharing_frozen

        method = str(adaptation_of(study, arm))
        template = self.kept(("partly", method), lambda: self._partly(build(), method))
        with self._lock:
            return copy_sharing_frozen(template)

    def _partly(self, network: nn.Module, method: str) -> PartlyTrained:
        """A pretrained network, adapted; `InputError` if its weights are not the study's."""
        import torch

        from fairfed.models.library import load_weights
        from fairfed.models.partial import partly_trained

        asked, source = self.study.fingerprints.get(WEIGHTS), self.sources.weights
        if asked is not None:
            if source is None:
                raise InputError(NO_WEIGHTS)
            own = weights_fingerprint(source)
            if own != asked:
                raise InputError(
                    OTHER_WEIGHTS.format(what="weights", source=source, own=own, asked=asked)
                )
            load_weights(network, source)
        draw = torch.Generator().manual_seed(self.study.seed)
        return partly_trained(network, method, self.study.adapt.rank, draw)

    def check_model(self, arm: Arm | None = None) -> None:
        """Build an arm's model, where only that shows whether it can be had.

        Raises `InputError` if CLIP or a model of the user's own is not to be had, or is no such
        model.
        """
        other = self.study.model not in MODELS
        if own_code(self.study.model):
            own_function(self.study.model, "model")
        local = self.study.train.batch_norm == "local"
        if self.study.model == "clip" or local or (other and self.labels.kind == "images"):
            model = self.model(arm)
            if local and not norms_of(model):
                raise InputError(NO_NORM.format(model=self.study.model))

    def model_with(
        self, weights: Mapping[str, npt.NDArray[Any]], arm: Arm | None = None
    ) -> nn.Module:
        """The same, with weights."""
        import torch

        model = self.model(arm)
        model.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        return model

    def _adapted(self, arm: Arm | None) -> AdaptedClip:
        """An adapted CLIP; frozen weights are shared by all copies of it."""
        from fairfed.models.adapted import adapted_clip
        from generators.lora import copy_sharing_frozen

        method = str(adaptation_of(self.study, arm))
        scratch = arm is not None and arm.from_scratch
        template = self.kept(
            ("adapted", method, scratch),
            lambda: adapted_clip(self.study, method, scratch, self.encoder, self.space),
        )
        with self._lock:
            return copy_sharing_frozen(template)

    def inputs(self, images: Images, arm: Arm | None = None) -> Inputs:
        """Images ``[n, H, W, 3]`` as the training of the model, or of an arm's, takes them.

        Where the image encoder is frozen, these are their embeddings ``[n, dimension]``, so that
        each image is embedded once and not in every round.
        """
        import torch

        from fairfed.models.inputs import StoredInputs

        if embeds_once(self.study, arm):
            return self.encoder.embed_images(images)
        if isinstance(images, StoredImages):
            return StoredInputs(images)
        return torch.from_numpy(np.ascontiguousarray(images))
