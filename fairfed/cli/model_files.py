"""Which configured models are on disk, and the command that fetches those that are not."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fairfed.config import Config, GeneratorConfig, PipelineConfig, SemanticConfig, load_model
from fairfed.sites.semantics import noun_table
from fairfed.sites.sight import WHAT_TO_DO
from generators.device import torch_device
from generators.diffusion.families import HUB_NAME, SINGLE_FILE
from generators.diffusion.generator import own_generator
from generators.diffusion.settings import BUNDLED_MODEL, embedding_file, lora_file
from semantic.encoder import BUNDLED_CLIP
from semantic.errors import InputError
from semantic.known_words import load_known_words
from semantic.own_code import OWN

_INDEX = "model_index.json"


@dataclass(frozen=True)
class ModelFile:
    """A model that a configuration names."""

    # Where it is named, and how.
    setting: str
    value: str
    missing: str = ""  # what is not on disk, empty where all is
    remedy: str = ""  # the command that fetches it, or what else to do
    about: str = ""  # what it was trained on, where it says so and that is not the usual wealth


def configured_models(path: Path) -> list[ModelFile]:
    """The models of a configuration file, of a run or of an augmentation."""
    return models_of(_read(path))


def configured_devices(path: Path) -> dict[str, str]:
    """Where what a configuration file asks for would be computed, by what it is.

    Raises `InputError` if this machine has no such device.
    """
    config = _read(path)
    found = {"images are generated": torch_device(config.generator.device, "generator.device")}
    if isinstance(config, Config):
        found = {"clients train": torch_device(config.device, "device"), **found}
    return found


def models_of(config: Config | PipelineConfig) -> list[ModelFile]:
    """The models of a configuration; see `configured_models`."""
    found = [*_generator(config.generator), _encoder(config.semantic)]
    return [_knowing(config, model) for model in found]


def _knowing(config: Config | PipelineConfig, model: ModelFile) -> ModelFile:
    """The model; as missing something, where it does not know the classes that are declared."""
    declared = config.data.classes
    if isinstance(config, PipelineConfig):
        declared += config.synthesis.classes
    known = load_known_words(_folder(model)) if model.about else None
    if known is None or config.semantic.allow_unknown:
        return model
    table = noun_table(config.semantic, declared)
    unknown = [name for name in declared if known.unknown(table.noun(name))]
    if not unknown:
        return model
    return replace(model, missing=f"knowledge of {', '.join(unknown)} is", remedy=WHAT_TO_DO)


def _folder(model: ModelFile) -> Path:
    bundled = BUNDLED_MODEL if model.setting == "generator.model" else BUNDLED_CLIP
    return bundled if model.value == "bundled" else Path(model.value)


def _read(path: Path) -> Config | PipelineConfig:
    """Configuration of the kind whose settings the file has; a run's where both would do."""
    try:
        tables = set(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        tables = set()  # load_model says what is wrong with the file
    if tables & (PipelineConfig.model_fields.keys() - Config.model_fields.keys()):
        return load_model(PipelineConfig, path)
    return load_model(Config, path)


def _generator(config: GeneratorConfig) -> Iterator[ModelFile]:
    yield _diffusers_model(config.model)
    files = [("generator.lora", lora_file(entry)[0]) for entry in config.lora]
    files += [("generator.embeddings", embedding_file(entry)[0]) for entry in config.embeddings]
    for setting, path in files:
        remedy = f"hf download REPOSITORY {path.name} --local-dir {path.parent}"
        yield ModelFile(setting, str(path), "" if path.is_file() else "the file", remedy)


def _diffusers_model(model: str) -> ModelFile:
    from huggingface_hub import try_to_load_from_cache

    setting = "generator.model"
    if model == "bundled":
        return ModelFile(setting, model, about=_about(BUNDLED_MODEL))
    if OWN.fullmatch(model):
        return _own_generator(setting, model)
    if Path(model).is_dir():
        remedy = "give a directory that diffusers' save_pretrained wrote"
        missing = _missing_parts(Path(model))
        return ModelFile(setting, model, missing, remedy, _about(Path(model)))
    if Path(model).is_file():
        return ModelFile(setting, model, "the directory", SINGLE_FILE.format(model=model))
    if not HUB_NAME.fullmatch(model):
        return ModelFile(setting, model, "the directory", "give a directory or ORGANISATION/NAME")
    cached = try_to_load_from_cache(model, _INDEX)
    missing = _missing_parts(Path(cached).parent) if isinstance(cached, str) else "the model"
    return ModelFile(setting, model, missing, f"hf download {model}")


def _own_generator(setting: str, name: str) -> ModelFile:
    try:
        own_generator(name)
    except InputError as error:
        return ModelFile(setting, name, "the class", str(error))
    return ModelFile(setting, name)


def _about(folder: Path) -> str:
    known = load_known_words(folder)
    return known.about if known is not None else ""


def _missing_parts(folder: Path) -> str:
    """What a diffusers directory lacks of what its index lists."""
    if not (folder / _INDEX).is_file():
        return _INDEX
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    parts = [name for name, kind in index.items() if isinstance(kind, list) and kind[0]]
    return ", ".join(name for name in parts if not (folder / name).is_dir())


def _encoder(config: SemanticConfig) -> ModelFile:
    from huggingface_hub import try_to_load_from_cache
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
    from open_clip.pretrained import get_pretrained_cfg

    setting, source = "semantic.encoder", config.encoder
    if source == "bundled":
        return ModelFile(setting, source, about=_about(BUNDLED_CLIP))
    folder = Path(source.removeprefix("local-dir:"))
    if folder.is_dir():
        whole = (folder / "open_clip_config.json").is_file()
        remedy = "give a directory in open_clip's format"
        return ModelFile(setting, source, "" if whole else "open_clip_config.json", remedy)
    names = [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]
    repository = source.removeprefix("hf-hub:")
    if repository == source:
        # open_clip takes all its weights from the hub, and names them `REPOSITORY/[FILE]`.
        place = get_pretrained_cfg(*source.partition("/")[::2]).get("hf_hub")
        if place is None:
            remedy = "choose a MODEL/PRETRAINED that open_clip.list_pretrained() prints"
            return ModelFile(setting, source, "a model that open_clip knows is", remedy)
        repository, _, file = place.rpartition("/")
        names = [str(Path(file).with_suffix(".safetensors")), file] if file else names
    here = any(isinstance(try_to_load_from_cache(repository, name), str) for name in names)
    return ModelFile(setting, source, "" if here else "the weights", f"hf download {repository}")
