"""The models by the names that the configuration knows."""

from __future__ import annotations

import torch
from torch import nn

from fairfed.models.clip_head import ClipHead, ImageEncoder
from fairfed.models.cnn import SmallCnn
from fairfed.models.lenet import LeNet
from fairfed.models.tabular import HIDDEN, TabularModel

MODEL_NAMES = ("cnn-bn", "cnn-gn", "lenet", "lenet-bn", "clip-head", "logistic", "mlp")


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
        One of `MODEL_NAMES`.
    num_classes
        Number of logits.
    image_size
        Side of the square images, in pixels (`clip-head` takes any).
    seed
        Same seed, same weights.
    encoder
        The frozen encoder of `clip-head`.
    inputs
        Number of features that `logistic` and `mlp` take.

    Raises
    ------
    ValueError
        If the name is unknown, `clip-head` is given no encoder, or a model of tables no inputs.
    """
    if name not in MODEL_NAMES:
        raise ValueError(f"no model {name!r}; there are: {', '.join(MODEL_NAMES)}")
    generator = torch.Generator().manual_seed(seed)
    if name == "clip-head":
        if encoder is None:
            raise ValueError("clip-head needs an encoder")
        head = ClipHead(encoder, num_classes)
        nn.init.normal_(head.weight, generator=generator)
        return head
    tabular = name in ("logistic", "mlp")
    if tabular and inputs < 1:
        raise ValueError(f"{name} needs inputs")
    model: SmallCnn | LeNet | TabularModel
    # Built without memory, for the constructors of layers draw from the global random state.
    with torch.device("meta"):
        if tabular:
            model = TabularModel(inputs, num_classes, HIDDEN if name == "mlp" else 0)
        elif name.startswith("lenet"):
            model = LeNet(num_classes, image_size, batch_norm=name == "lenet-bn")
        else:
            model = SmallCnn(num_classes, image_size, "batch" if name == "cnn-bn" else "group")
    model.to_empty(device="cpu")
    model.draw(generator)
    return model if tabular else model.to(memory_format=torch.channels_last)
