"""The Stable Diffusion family: which pipelines there are, and how one is read from a directory.

The networks are read once and shared by threads; every thread puts pipelines of its own over them,
because a solver keeps state.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generators.device import torch_device
from generators.diffusion.adapters import apply_adapters
from generators.diffusion.guidance import GuidedUNet
from generators.diffusion.settings import (
    BUNDLED_MODEL,
    SCHEDULERS,
    DiffusionSettings,
    embedding_file,
)
from semantic.encoder import hash_folder
from semantic.errors import InputError
from semantic.known_words import KnownWords, load_known_words, words_of

_FAMILIES = (
    ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline"),
    ("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline"),
    ("LatentConsistencyModelPipeline", "LatentConsistencyModelImg2ImgPipeline"),
    ("StableUnCLIPImg2ImgPipeline", None),
)
"""diffusers' classes for starting from noise and from an image; Turbo and 2.x are of the first two.

The unCLIP pipeline, whatever its name, starts from noise: the image enters as an embedding.
"""


HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
_VARIANT = re.compile(r"\.(\w+)(?:-\d+-of-\d+)?\.\w+$")
SINGLE_FILE = (
    "generator.model {model!r} is a single file, and a diffusers directory is needed; make one: "
    "diffusers.StableDiffusionPipeline.from_single_file({model!r}).save_pretrained('DIRECTORY')"
)


@dataclass(frozen=True)
class Networks:
    """What all pipelines of one model share.

    `components` are the pipeline's networks, tokenizers and noise schedule, `options` further
    arguments that the model's directory gives it. `from_noise` and `from_image` are diffusers'
    classes; the latter is None where the family has none. `identity` is a hash of the weights, or
    hub name and commit. `known_words` are what its prompts may hold, where its directory says so.
    """

    components: dict[str, Any]
    from_noise: str
    from_image: str | None
    options: dict[str, Any]
    folder: Path
    identity: str
    known_words: KnownWords | None = None

    @property
    def is_unclip(self) -> bool:
        """Whether the model is conditioned on an image embedding through its time embedding."""
        return "image_normalizer" in self.components

    @property
    def reads_guidance(self) -> bool:
        """Whether the guidance scale is an input of a distilled network (LCM)."""
        return self.components["unet"].config.time_cond_proj_dim is not None

    def pipeline(self, name: str, settings: DiffusionSettings) -> Any:
        """A pipeline of diffusers' class `name` over these networks, with a solver of its own."""
        import diffusers

        own = self.components["scheduler"]
        solver_name, changes = SCHEDULERS[settings.scheduler] or (type(own).__name__, {})
        solver = getattr(diffusers, solver_name).from_config({**own.config, **changes})
        kind = getattr(diffusers, name)
        known = inspect.signature(kind.__init__).parameters
        options = {k: v for k, v in self.options.items() if k in known}
        pipeline = kind(**{**self.components, "scheduler": solver}, **options)
        pipeline.set_progress_bar_config(disable=True)
        interval = settings.guidance_from, settings.guidance_until
        pipeline.unet = GuidedUNet(
            self.components["unet"], solver.config.num_train_timesteps, interval
        )
        return pipeline


def load_networks(settings: DiffusionSettings) -> Networks:
    """Read a model, with its LoRA and embedding files, onto its device."""
    import diffusers
    import torch
    import transformers
    from safetensors import SafetensorError

    # Bars for loading a few files would tear ours apart.
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    device = torch_device(settings.device, "generator.device")
    folder, identity = _find(settings.model)
    index = diffusers.DiffusionPipeline.load_config(folder)
    from_noise, from_image = _family(settings.model, index["_class_name"])
    safety = _safety(index, settings)
    try:
        pipeline = getattr(diffusers, from_noise).from_pretrained(
            folder, dtype=getattr(torch, settings.dtype), variant=variant_of(folder), **safety
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise InputError(
            f"generator.model {settings.model!r}: {folder} cannot be read "
            f"({str(error).splitlines()[0]}); a file is damaged or missing, copy the model again"
        ) from error
    apply_adapters(pipeline, settings)
    _refuse_size(pipeline, settings)
    for name, network in pipeline.components.items():
        if isinstance(network, torch.nn.Module):
            _refuse_broken(settings.model, name, network)
            network.requires_grad_(False).to(device)
    options = {k: v for k, v in pipeline.config.items() if not isinstance(v, list | tuple)}
    # Provenance is written beside the pixels, not into them.
    options["add_watermarker"] = False
    options["requires_safety_checker"] = settings.safety_checker
    return Networks(
        dict(pipeline.components), from_noise, from_image, options, folder, identity,
        known_words_of(settings),
    )  # fmt: skip


def _refuse_broken(model: str, name: str, network: Any) -> None:
    """Refuse weights that are not finite: every image would come out black."""
    import torch

    for parameter, values in network.named_parameters():
        if not torch.isfinite(values).all():
            raise InputError(
                f"generator.model {model!r}: the weights {parameter!r} of its {name} are not "
                "finite (NaN or infinite), so that it can make no image; copy the model again, or "
                "train it anew"
            )


def known_words_of(settings: DiffusionSettings) -> KnownWords | None:
    """What the prompts of a model may hold, where its directory says so; loads nothing else.

    Words that files of textual inversion teach it are among them.
    """
    folder = BUNDLED_MODEL if settings.model == "bundled" else Path(settings.model)
    known = load_known_words(folder)
    if known is None:
        return None
    tokens = [token or path.stem for path, token in map(embedding_file, settings.embeddings)]
    return replace(known, words=known.words.union(*map(words_of, tokens)))


def _refuse_size(pipeline: Any, settings: DiffusionSettings) -> None:
    """Refuse a side that the networks cannot halve as often as they do."""
    halvings = len(pipeline.unet.config.block_out_channels) - 1
    step = pipeline.vae_scale_factor * 2**halvings
    if settings.image_size % step:
        raise InputError(
            f"data.image_size is {settings.image_size}, and generator.model {settings.model!r} "
            f"makes images whose side is a multiple of {step}; give one"
        )


def _find(model: str) -> tuple[Path, str]:
    """Directory of a model, and what identifies its weights."""
    import diffusers

    folder = BUNDLED_MODEL if model == "bundled" else Path(model)
    if folder.is_dir():
        if not (folder / "model_index.json").is_file():
            raise InputError(f"{folder} holds no model_index.json; it is no diffusers directory")
        return folder, hash_folder(folder)
    if folder.is_file():
        raise InputError(SINGLE_FILE.format(model=model))
    if not HUB_NAME.fullmatch(model):
        raise InputError(
            f"generator.model {model!r} is no directory, and no ORGANISATION/NAME of a hub; give "
            "a diffusers directory that there is, or 'bundled'"
        )
    try:
        folder = Path(diffusers.DiffusionPipeline.download(model))
    except (OSError, ValueError) as error:
        said = str(error).splitlines()[0].partition(" (")[0]  # less what it adds in brackets
        raise InputError(
            f"generator.model {model!r} is neither a diffusers directory nor a model that "
            f"the hub gives here ({said}). Where there is a network, run "
            f"'hf download {model}' once, or give 'bundled'."
        ) from error
    # The hub's cache names a snapshot's directory by its commit.
    return folder, f"{model}@{folder.name}"


def variant_of(folder: Path) -> str | None:
    """The variant (``fp16``) that a directory holds, where it holds nothing but variants."""
    files = [p.name for p in folder.glob("*/*") if p.suffix in (".safetensors", ".bin")]
    found = [match[1] if (match := _VARIANT.search(name)) else None for name in files]
    return next(iter(found), None) if None not in found else None


def _family(model: str, class_name: str) -> tuple[str, str | None]:
    for family in _FAMILIES:
        if class_name in family:
            return family
    names = ", ".join(name for name, _ in _FAMILIES)
    raise InputError(
        f"generator.model {model!r} is a {class_name}; the pipelines read here are {names}"
    )


def _safety(index: dict[str, Any], settings: DiffusionSettings) -> dict[str, Any]:
    """Arguments that keep or drop a safety checker."""
    held = index.get("safety_checker", (None, None))[0] is not None
    if settings.safety_checker and not held:
        raise InputError(
            f"generator.model {settings.model!r} has no safety checker; set "
            "generator.safety_checker = false, or choose a model that has one"
        )
    if "safety_checker" not in index or settings.safety_checker:
        return {}
    return {"safety_checker": None, "requires_safety_checker": False}
