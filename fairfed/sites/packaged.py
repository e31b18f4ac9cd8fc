"""A trained model in a directory of its own: weights, and all that it takes to use them.

`model.safetensors` has parameters and buffers by their names, `model.json` the study that the model
is of (which says nothing of where data are): the network is built as at any site. A frozen CLIP is
not in it; the same one must be there where the model is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from evaluation.files import write_whole
from fairfed import __version__
from fairfed.config.classifiers import own_code
from fairfed.config.federation import FederationConfig
from fairfed.config.training import embeds_once
from fairfed.data.pixels import choose_window, decode, through_window
from fairfed.data.tables import encode
from fairfed.sites.model_sources import ModelSources
from fairfed.sites.workplace import Workplace
from generators.writing import explained
from semantic.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from PIL import Image

FORMAT, VERSION = "fairfed-model", 1
WEIGHTS, ABOUT = "model.safetensors", "model.json"
NO_MODEL = "{path}: no model that 'fairfed export' wrote ({why}); give its directory"
OWN_CODE = (
    "{path}: the network is {name!r}, code of its own, which would run here: load it with own_code="
    "True ('--own-code') if you trust it"
)


class PackagedModel(nn.Module):
    """A federation's classifier as an ordinary module, in evaluation mode.

    Attributes
    ----------
    classes
        Names of the logits, in order.
    study
        What the federation agreed on.
    network
        The network itself.
    embeds
        Whether it stands on a frozen CLIP, which turns images into what it takes.
    """

    def __init__(self, network: nn.Module, study: FederationConfig, embeds: bool) -> None:
        super().__init__()
        self.network, self.study = network.eval(), study
        self.classes: tuple[str, ...] = study.labels.classes
        self.embeds = embeds

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits ``[n, n_classes]`` of RGB images ``[n, 3, H, W]`` in 0 to 1, or of encoded rows.

        `preprocess` makes either.
        """
        if self.embeds:  # a head on embeddings, which are made of pixels
            pixels = (inputs * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
            inputs = self.network.embed(pixels)  # type: ignore[operator]
        logits: Tensor = self.network(inputs)
        return logits

    def preprocess(self, given: Image.Image | NDArray[np.uint8] | pd.DataFrame) -> Tensor:
        """What the model takes: of an image ``[3, H, W]``, of a table's rows ``[n, inputs]``.

        An image is a PIL image of any size and mode, or RGB ``[H, W, 3]`` of 8 bits (of one with
        more bits, its own range becomes black to white); a table has the columns that the
        federation agreed on.
        """
        if self.study.labels.kind == "table":
            return torch.from_numpy(encode(self.study.table, given))
        from PIL import Image

        image = Image.fromarray(given) if isinstance(given, np.ndarray) else given
        found = decode(image, self.study.labels.image_size)
        pixels = found.pixels
        if found.spread is not None:
            pixels = through_window(pixels, choose_window([found]))
        return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float().div_(255)


def save_model(
    folder: Path,
    study: FederationConfig,
    arrays: Mapping[str, NDArray[Any]],
    encoder: str,
    facts: Mapping[str, Any],
) -> None:
    """Write a model: of a study that has its arm alone, with the source of its frozen CLIP.

    `facts` are of the run that it comes from, as JSON.
    """
    from safetensors.numpy import save

    about = {
        "format": FORMAT,
        "version": VERSION,
        "fairfed": __version__,
        "classes": list(study.labels.classes),
        "sensitive": {name: list(values) for name, values in study.labels.sensitive.items()},
        "encoder": encoder,
        **facts,
        "study": json.loads(study.to_json()),
    }
    held = {name: np.array(value, order="C") for name, value in arrays.items()}
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / WEIGHTS, save(held))
        text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
        write_whole(folder / ABOUT, text.encode())


def load_model(
    path: str | Path, *, encoder: str | None = None, own_code: bool = False
) -> PackagedModel:
    """Load a model that `fairfed export` wrote.

    Parameters
    ----------
    path
        Its directory.
    encoder
        Where the CLIP is that it stands on, if it stands on one; None: where it was.
    own_code
        Run the function of a network that is code of its own.

    Returns
    -------
    A module in evaluation mode, with `classes` and `preprocess`.

    Raises
    ------
    semantic.errors.InputError
        There is no such model, its weights do not fit, or its CLIP is another.
    """
    folder = Path(path)
    study, about = read_about(folder)
    if is_own_code(study) and not own_code:
        raise InputError(OWN_CODE.format(path=folder, name=study.model))
    place = Workplace(study, ModelSources(encoder=encoder or str(about["encoder"])))
    arm = study.arms[0]
    network = place.model(arm)
    network.load_state_dict(_weights(folder, network))
    embeds = study.labels.kind == "images" and embeds_once(study, arm)
    return PackagedModel(network, study, embeds).eval()


def is_own_code(study: FederationConfig) -> bool:
    """Whether a study's network is made by a function that is no part of fairfed or a library."""
    return own_code(study.model)


def read_about(folder: Path) -> tuple[FederationConfig, dict[str, Any]]:
    """The study of a model, and everything that is said of it."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if (about["format"], about["version"]) != (FORMAT, VERSION):
            raise ValueError(f"format {about['format']} {about['version']}")
        return FederationConfig.model_validate_json(json.dumps(about["study"])), about
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        why = str(error).splitlines()[0]
        raise InputError(NO_MODEL.format(path=folder, why=why)) from error


def _weights(folder: Path, network: nn.Module) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise InputError(NO_MODEL.format(path=folder, why=error)) from error
    own = network.state_dict()
    wrong = [n for n in own if n not in state or state[n].shape != own[n].shape]
    if wrong or len(state) > len(own):
        why = f"{WEIGHTS} is of another network than {ABOUT}: {', '.join(wrong[:3])}"
        raise InputError(NO_MODEL.format(path=folder, why=why))
    return state
