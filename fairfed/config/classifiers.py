"""The names of the classifiers, and what rows each is of.

They stand here as well as in `fairfed.models`, because reading a configuration imports nothing
heavy; a test compares them.
"""

from __future__ import annotations

from fairfed.config.source import Kind

MODELS: dict[str, Kind] = {
    "cnn-bn": "images",
    "cnn-gn": "images",
    "lenet": "images",
    "lenet-bn": "images",
    "clip-head": "images",
    "clip": "images",
    "logistic": "table",
    "mlp": "table",
}
"""What the rows of a classifier are. One of the user's own, `module:function`, takes any."""
LIBRARIES = ("torchvision", "timm")
"""Packages whose networks go by `package:name`."""


FAMILIES = (
    "alexnet", "convnext", "densenet", "efficientnet", "googlenet", "inception", "maxvit",
    "mnasnet", "mobilenet", "regnet", "resnet", "resnext", "shufflenet", "squeezenet", "swin",
    "vgg", "vit", "wide_resnet",
)  # fmt: skip
"""How names of torchvision's networks begin."""


def with_package(name: str) -> str:
    """The name of a network with its package: `resnet18` alone is torchvision's."""
    bare = name.isidentifier() and name not in FAMILIES and name.startswith(FAMILIES)
    return f"torchvision:{name}" if bare else name


def of_library(name: str) -> bool:
    """Whether a model is a network of torchvision or timm."""
    return name.partition(":")[0] in LIBRARIES


def own_code(name: str) -> bool:
    """Whether a model is made by a function of the user's own."""
    return name not in MODELS and not of_library(name)
