"""Networks of torchvision and timm, by their names there, with as many logits as there are classes.

They take images as ours do, RGB in 0 to 1, and are given what they were made for: the mean and
deviation of ImageNet, or those that timm states.
"""

from __future__ import annotations

import difflib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semantic.errors import InputError

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
UNKNOWN = "model {name!r}: {library} has no network {called!r}; {advice}"
UNFIT = (
    "model {name!r} cannot take images of {size} pixels ({error}); set data.image_size to what it "
    "was made for (224 for most), or choose another network"
)
NOT_LIGHT = "model {name!r} needs the package timm: pip install timm"


def library_maker(name: str) -> Callable[[int, tuple[int, ...]], nn.Module]:
    """What makes the network of a name such as `torchvision:resnet18`, as one of a user's own.

    A function of the number of classes and the shape of an image. A name that the library does not
    know is refused.
    """
    library, _, called = name.partition(":")
    known, make, scale = _torchvision(called) if library == "torchvision" else _timm(name, called)
    if called.partition(".")[0] not in known:  # timm's may name a set of weights as well
        close = difflib.get_close_matches(called, known, n=3)
        advice = f"did you mean {', '.join(close)}?" if close else "see its list of models"
        raise InputError(UNKNOWN.format(name=name, library=library, called=called, advice=advice))

    def made(classes: int, shape: tuple[int, ...]) -> nn.Module:
        try:
            model = make(classes, shape[-1])
            model.register_forward_pre_hook(_Normalised(*scale()))
            with torch.no_grad():
                model.eval()(torch.zeros(2, *shape))
        except (RuntimeError, AssertionError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(UNFIT.format(name=name, size=shape[-1], error=reason)) from error
        return model

    return made


class _Normalised:
    """Brings images to the mean and deviation that a network was made for, before it sees them."""

    def __init__(self, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
        self._mean = torch.tensor(mean).reshape(1, -1, 1, 1)
        self._deviation = torch.tensor(deviation).reshape(1, -1, 1, 1)

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        images, *others = inputs
        mean, deviation = self._mean.to(images), self._deviation.to(images)
        return (images - mean) / deviation, *others


def _torchvision(called: str) -> tuple[list[str], Callable[[int, int], nn.Module], Any]:
    from torchvision import models

    known = models.list_models(module=models)
    return (
        known,
        lambda classes, size: models.get_model(called, weights=None, num_classes=classes),
        lambda: IMAGENET,
    )


def _timm(name: str, called: str) -> tuple[list[str], Callable[[int, int], nn.Module], Any]:
    try:
        import timm
    except ModuleNotFoundError as error:
        raise InputError(NOT_LIGHT.format(name=name)) from error

    def make(classes: int, size: int) -> nn.Module:
        try:
            found: nn.Module = timm.create_model(called, num_classes=classes, img_size=size)
        except TypeError:  # a convolutional one takes images of any size
            found = timm.create_model(called, num_classes=classes)
        return found

    def scale() -> tuple[tuple[float, ...], tuple[float, ...]]:
        stated = timm.get_pretrained_cfg(called)
        return (stated.mean, stated.std) if stated is not None else IMAGENET

    return timm.list_models(), make, scale


def load_weights(model: nn.Module, source: str) -> list[str]:
    """Load a file of weights (safetensors, or what `torch.save` wrote) into a model, in place.

    Returned are names of the last layer's parameters where their number of classes is another: they
    stay as they were drawn. Anything else that does not fit is refused.
    """
    path = Path(source)
    if not path.is_file():
        raise InputError(f"weights {source!r}: no such file; give a .safetensors or .pt file")
    state = _read(path)
    own = model.state_dict()
    lacking, further = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    lacking = [name for name in lacking if not name.endswith("num_batches_tracked")]
    if lacking or further:
        raise InputError(
            f"weights {source!r} are of another network: {_some('missing', lacking)}"
            f"{_some('unknown', further)}; set model to the one that they are of"
        )
    other = [name for name, value in state.items() if value.shape != own[name].shape]
    last = list(own)[-1].rpartition(".")[0]
    misfit = [name for name in other if name.rpartition(".")[0] != last]
    if misfit:
        name = misfit[0]
        raise InputError(
            f"weights {source!r} do not fit: {name} is {list(state[name].shape)}, and the model's "
            f"is {list(own[name].shape)}"
        )
    model.load_state_dict({n: v for n, v in state.items() if n not in other}, strict=False)
    return other


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"weights {str(path)!r} cannot be read ({str(error).splitlines()[0]}): give a file of "
            "tensors by name"
        ) from error
    state = found.get("state_dict", found) if isinstance(found, dict) else {}
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"weights {str(path)!r}: expected tensors by name, as of state_dict()")
    return {str(name): value for name, value in state.items()}


def _some(what: str, names: list[str]) -> str:
    return f"{what} {', '.join(names[:3])}{' …' if len(names) > 3 else ''} " if names else ""
