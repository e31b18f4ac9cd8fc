"""The models by the names that the configuration knows, and those of a user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from fairfed.config.classifiers import MODELS, of_library
from fairfed.models.clip_head import ClipHead, ImageEncoder
from fairfed.models.cnn import LeNet, SmallCnn
from fairfed.models.library import library_maker
from fairfed.models.tabular import HIDDEN, TabularModel
from semantic.errors import InputError
from semantic.own_code import OWN, own_function


@dataclass(frozen=True)
class Wanted:
    """What a model shall take and give."""

    num_classes: int  # number of logits
    image_size: int  # side of the square images, in pixels
    encoder: ImageEncoder | None  # the frozen encoder of `clip-head`
    inputs: int  # number of features of a row, of a table


def _clip_head(wanted: Wanted) -> ClipHead:
    if wanted.encoder is None:
        raise ValueError("clip-head needs an encoder")
    return ClipHead(wanted.encoder, wanted.num_classes)


BUILDERS: dict[str, Callable[[Wanted], Any]] = {
    "cnn-bn": lambda wanted: SmallCnn(wanted.num_classes, wanted.image_size, "batch"),
    "cnn-gn": lambda wanted: SmallCnn(wanted.num_classes, wanted.image_size, "group"),
    "lenet": lambda wanted: LeNet(wanted.num_classes, wanted.image_size, batch_norm=False),
    "lenet-bn": lambda wanted: LeNet(wanted.num_classes, wanted.image_size, batch_norm=True),
    "clip-head": _clip_head,
    "logistic": lambda wanted: TabularModel(wanted.inputs, wanted.num_classes, 0),
    "mlp": lambda wanted: TabularModel(wanted.inputs, wanted.num_classes, HIDDEN),
}
"""Each gives a module with a method `draw(generator)`, which draws all its weights."""
MODEL_NAMES = tuple(BUILDERS)
NO_MODULE = "model {name!r} returned {found}, and a torch.nn.Module is needed"
OTHER_SHAPE = (
    "model {name!r}: of 2 rows of shape {shape} it makes {found}, and logits of shape "
    "(2, {classes}) are needed"
)


def build_model(
    name: str,
    num_classes: int,
    image_size: int = 32,
    *,
    seed: int = 0,
    encoder: ImageEncoder | None = None,
    inputs: int = 0,
) -> nn.Module:
    """Build a model with seeded weights; PyTorch's global random state neither counts nor changes.

    Parameters
    ----------
    name
        One of `MODEL_NAMES`, or `module:function` (see `own_model`).
    num_classes
        Number of logits.
    image_size
        Side of the square images, in pixels (`clip-head` takes any).
    seed
        Same seed, same weights.
    encoder
        The frozen encoder of `clip-head`.
    inputs
        Number of features of a row, of a table; 0 for images.

    Raises
    ------
    ValueError
        If the name is unknown, `clip-head` is given no encoder, or a model of tables no inputs.
    InputError
        See `own_model`.
    """
    if of_library(name) or OWN.fullmatch(name):
        shape = (inputs,) if inputs else (3, image_size, image_size)
        return own_model(name, num_classes, shape, seed)
    if name not in BUILDERS:
        raise ValueError(f"no model {name!r}; there are: {', '.join(MODEL_NAMES)}")
    if MODELS[name] == "table" and inputs < 1:
        raise ValueError(f"{name} needs inputs")
    # Built without memory, for the constructors of layers draw from the global random state.
    with torch.device("meta"):
        model = BUILDERS[name](Wanted(num_classes, image_size, encoder, inputs))
    model.to_empty(device="cpu")
    model.draw(torch.Generator().manual_seed(seed))
    found: nn.Module = model.to(memory_format=torch.channels_last)
    return found


def own_model(name: str, num_classes: int, shape: tuple[int, ...], seed: int) -> nn.Module:
    """Build a model of torchvision or timm, or the user's own `module:function`.

    A row's shape is ``(3, H, W)`` of an image, whose values are 0 to 1; ``(inputs,)`` of a table.
    The function draws from PyTorch's global random state, which is set for it and then put back: no
    other thread may draw from it meanwhile. What gives no module that gives logits is refused.
    """
    make = library_maker(name) if of_library(name) else own_function(name, "model")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = make(num_classes, shape)
        if not isinstance(model, nn.Module):
            raise InputError(NO_MODULE.format(name=name, found=type(model).__qualname__))
        with torch.no_grad():
            logits = model.eval()(torch.zeros(2, *shape))
    found = tuple(getattr(logits, "shape", ()))
    if found != (2, num_classes):
        what = f"shape {found}" if found else type(logits).__qualname__
        raise InputError(
            OTHER_SHAPE.format(name=name, shape=shape, found=what, classes=num_classes)
        )
    return model.train()
