"""From requests to what a pipeline is conditioned on: embeddings of prompts, terms, prototypes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from generators.diffusion.families import Networks
from generators.diffusion.settings import DiffusionSettings
from generators.requests import Request
from semantic.errors import InputError
from semantic.known_words import KnownWords
from semantic.space import Cell

if TYPE_CHECKING:
    from torch import Tensor

PROJECTION = "image_projection.safetensors"
"""File in a model's directory that turns a CLIP image embedding into tokens of a prompt.

Tensors `weight`, ``[tokens · width, clip_dimension]``, and `bias`, ``[tokens · width]``.
"""
WHAT_TO_DO = (
    "Give a generator.model that knows the class; or make images by inverting a classifier of your "
    "own images, which needs no words (synthesis.generator = 'inversion' in an augmentation, "
    "inversion in an arm of a run); or describe the class in words that the model knows (the "
    "column 'prompt' of a table in semantic.attributes); or set semantic.allow_unknown = true, "
    "which every report then says"
)
KEPT_TEXTS = 1024
"""Embedded prompts kept; beyond that, those not used for longest are embedded anew when needed."""


class Text(NamedTuple):
    """An embedded prompt: hidden states ``[tokens, width]``, and a pooled vector, maybe empty."""

    hidden: Tensor
    pooled: Tensor


class Kind(NamedTuple):
    """What a request is made of; only requests of one kind share a batch."""

    terms: int
    has_prototype: bool
    has_source: bool


def kind_of(request: Request) -> Kind:
    """Kind of a request."""
    return Kind(len(request.terms), bool(request.prototype), request.source is not None)


def with_noise(hidden: Tensor, seed: int, deviation: float) -> Tensor:
    """Hidden states with the noise of semantic knowledge augmentation (SKA).

    Sun et al. 2022 (arXiv 2208.13465) add N(0, 0.1²) to the normalised embedding of a class, which
    is one vector. A prompt is a vector for each token: all of them are moved by the same draw,
    because attention averages over the tokens and would cancel independent ones. Hidden states of
    text encoders differ in scale, so the draw is scaled by their root mean square, times
    `deviation`: 0.1 is a tenth of a typical entry, whatever the model.

    They are ``[conditions, tokens, width]`` of one request with this seed; the noise is a stream of
    its own beside the image's.
    """
    import torch

    shape = (len(hidden), 1, hidden.shape[2])
    drawn = np.random.default_rng((seed, 1)).standard_normal(shape, np.float32)
    scale = deviation * hidden.float().square().mean().sqrt()
    return hidden + (scale * torch.from_numpy(drawn).to(hidden.device)).to(hidden.dtype)


class Conditions:
    """Embeds the requests of one model; refuses those for what it, or its settings, cannot give."""

    def __init__(self, networks: Networks, settings: DiffusionSettings) -> None:
        self._networks = networks
        self._settings = settings
        self._projection = _load_projection(networks.folder / PROJECTION)
        # A tokenizer keeps state while it works, so one thread at a time.
        self._guard = threading.Lock()
        self._text = lru_cache(maxsize=KEPT_TEXTS)(self._encode)
        self._pipeline: Any = None
        self._measured: set[str] = set()

    @property
    def guided(self) -> bool:
        """Whether there is an unconditional half to guide away from."""
        return self._settings.guidance > 1 and not self._networks.reads_guidance

    def embed(self, pipeline: Any, batch: Sequence[Request]) -> dict[str, Any]:
        """Arguments of a pipeline's call for requests of one kind."""
        for request in batch:
            self.refuse(request)
            self.refuse_texts(request, pipeline)
        arguments = _stacked("", [self._conditions(pipeline, request) for request in batch])
        if self.guided:
            negatives = [self._negative(pipeline, request) for request in batch]
            arguments |= _stacked("negative_", negatives)
        if self._networks.is_unclip:
            arguments["image_embeds"] = self._image_embeddings(batch, pipeline)
        return arguments

    def weights(self, batch: Sequence[Request]) -> Tensor | None:
        """Weights of prompt and terms, ``[n, 1 + terms]``, or None where there are no terms."""
        import torch

        if not batch[0].terms:
            return None
        rows = [[1.0, *(weight for _, weight in request.terms)] for request in batch]
        unet = self._networks.components["unet"]
        return torch.tensor(rows, device=unet.device, dtype=unet.dtype)

    def _conditions(self, pipeline: Any, request: Request) -> Text:
        """Prompt and terms of a request, side by side."""
        import torch

        texts = [self._embed(pipeline, p) for p in (request.prompt, *(t for t, _ in request.terms))]
        hidden = torch.stack([text.hidden for text in texts])
        if self._settings.prompt_noise:
            hidden = with_noise(hidden, request.seed, self._settings.prompt_noise)
        joined = self._with_prototype(hidden, request, request.prototype).flatten(0, 1)
        return Text(joined, torch.cat([text.pooled for text in texts]))

    def _negative(self, pipeline: Any, request: Request) -> Text:
        """What a request is guided away from, in the shape of its conditions."""
        import torch

        prompt = request.negative or self._settings.negative
        text = self._embed(pipeline, prompt)
        if not prompt and pipeline.config.get("force_zeros_for_empty_prompt"):
            text = Text(*(torch.zeros_like(part) for part in text))
        count = 1 + len(request.terms)
        nowhere = (0.0,) * len(request.prototype)
        hidden = self._with_prototype(text.hidden[None].repeat(count, 1, 1), request, nowhere)
        return Text(hidden.flatten(0, 1), text.pooled.repeat(count))

    def _with_prototype(
        self, hidden: Tensor, request: Request, prototype: tuple[float, ...]
    ) -> Tensor:
        """Each condition followed by the prototype's tokens, where the request has one."""
        import torch

        if not request.prototype or self._networks.is_unclip:
            return hidden
        assert self._projection is not None
        weight, bias = self._projection
        tokens = (weight @ torch.tensor(prototype) + bias).reshape(1, -1, hidden.shape[2])
        return torch.cat([hidden, tokens.to(hidden).expand(len(hidden), -1, -1)], 1)

    def _image_embeddings(self, batch: Sequence[Request], pipeline: Any) -> Tensor:
        """Prototypes at the length of the embeddings that the model was trained with, ``[n, d]``.

        Prototypes have unit length; the pipeline normalises by the mean μ and the deviation σ of
        raw embeddings, whose mean square length is ‖μ‖² + ‖σ‖².
        """
        import torch

        mean, deviation = pipeline.image_normalizer.mean, pipeline.image_normalizer.std
        length = (mean.square().sum() + deviation.square().sum()).sqrt()
        directions = torch.tensor([request.prototype for request in batch]).to(mean)
        found: Tensor = directions * length
        return found

    def _embed(self, pipeline: Any, prompt: str) -> Text:
        with self._guard:
            self._pipeline = pipeline
            return self._text(prompt)

    def _encode(self, prompt: str) -> Text:
        """Embed one prompt alone, so that its embedding does not depend on its company."""
        import torch

        pipe = self._pipeline
        with torch.no_grad():
            found = pipe.encode_prompt(
                prompt=prompt,
                device=pipe.device,
                num_images_per_prompt=1,
                do_classifier_free_guidance=False,
            )
        # Stable Diffusion XL's pipelines return pooled embeddings as well.
        return Text(found[0][0], found[2][0] if len(found) == 4 else found[0].new_zeros(0))

    def refuse(self, request: Request) -> None:
        """Refuse a request for what the model or its settings cannot give."""
        name = self._settings.model
        if not self.guided and (request.terms or request.negative or self._settings.negative):
            why = "is distilled" if self._networks.reads_guidance else "guides only above 1"
            raise InputError(
                f"negative prompts and composed terms need guidance, and generator.guidance = "
                f"{self._settings.guidance} gives none (model {name!r} {why}); raise it, choose "
                "another model, or condition by the prompt alone"
            )
        if self._networks.is_unclip and not request.prototype:
            raise InputError(
                f"generator.model {name!r} (unCLIP) is conditioned on an image embedding; give "
                f"{request.cell} a prototype"
            )
        if request.prototype:
            self._refuse_prototype(request)

    def refuse_texts(self, request: Request, pipeline: Any) -> None:
        """Refuse a prompt or term of unknown words, or one that would be cut off."""
        texts = (request.prompt, *(term for term, _ in request.terms))
        known = self._networks.known_words
        if known is not None and not self._settings.allow_unknown:
            for text in texts:
                _refuse_unknown(self._settings.model, known, request.cell, text)
        with self._guard:
            for text in (*texts, request.negative or self._settings.negative):
                if text not in self._measured:
                    _refuse_long(text, pipeline)
                    self._measured.add(text)

    def _refuse_prototype(self, request: Request) -> None:
        if self._networks.is_unclip:
            width = int(self._networks.components["image_normalizer"].mean.shape[1])
        elif self._projection is not None:
            width = int(self._projection[0].shape[1])
        else:
            raise InputError(
                f"generator.model {self._settings.model!r} reads no prototypes: it is no unCLIP "
                f"pipeline and its directory holds no {PROJECTION}. Choose one that does, or "
                "another conditioning"
            )
        if len(request.prototype) != width:
            raise InputError(
                f"the prototype of {request.cell} has {len(request.prototype)} values, "
                f"generator.model {self._settings.model!r} reads {width}: it must come from the "
                "CLIP that the model was trained with"
            )


def _stacked(prefix: str, texts: list[Text]) -> dict[str, Tensor]:
    """The embeddings of a batch under the names of a pipeline's arguments."""
    import torch

    found = {f"{prefix}prompt_embeds": torch.stack([text.hidden for text in texts])}
    if texts[0].pooled.numel():
        found[f"{prefix}pooled_prompt_embeds"] = torch.stack([text.pooled for text in texts])
    return found


def _load_projection(path: Path) -> tuple[Tensor, Tensor] | None:
    """Weight and bias of a model's image projection, None where it has none."""
    if not path.is_file():
        return None
    from safetensors.torch import load_file

    tensors = load_file(path)
    try:
        return tensors["weight"].float(), tensors["bias"].float()
    except KeyError as error:
        raise InputError(f"{path} lacks the tensor {error}; fetch the model again") from error


def _refuse_unknown(model: str, known: KnownWords, cell: Cell, text: str) -> None:
    """Refuse to ask a model for what it has never read; it would draw something else."""
    words = known.unknown(text)
    if words:
        raise InputError(
            f"class {cell.class_name!r} would be asked for as {text!r}, and generator.model "
            f"{model!r} does not know {', '.join(map(repr, words))}: it was trained on "
            f"{known.about}, and would draw those instead. {WHAT_TO_DO}"
        )


def _refuse_long(prompt: str, pipeline: Any) -> None:
    """Refuse a prompt that a text encoder would cut off."""
    for name in ("tokenizer", "tokenizer_2"):
        tokenizer = getattr(pipeline, name, None)
        if tokenizer is None:
            continue
        text = pipeline.maybe_convert_prompt(prompt, tokenizer)
        tokens, most = len(tokenizer(text, verbose=False)["input_ids"]), tokenizer.model_max_length
        if tokens > most:
            raise InputError(
                f"prompt {prompt!r} has {tokens} tokens, the model reads {most}; shorten what the "
                "class is called (column 'prompt' of semantic.attributes), its attributes, or "
                "semantic.templates"
            )
