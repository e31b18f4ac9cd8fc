"""Classifiers that are looked into: what enters their batch normalisations, and files that keep it.

A classifier is kept as a `torch.export` archive: its graph shows every operation, and reading it
runs no code of its own. (TorchScript is deprecated, and its modules take no hooks.)
"""

from __future__ import annotations

import copy
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from semantic.errors import InputError
from semantic.files import written_whole

_MODULE_ARGUMENTS = ("input", "running_mean", "running_var")
_ATEN_ARGUMENTS = ("input", "weight", "bias", "running_mean", "running_var")

BATCH_NORMS: dict[Callable[..., Any], tuple[str, ...]] = {
    # What a BatchNorm module calls, and what is left of it in an exported graph.
    F.batch_norm: (*_MODULE_ARGUMENTS, "weight", "bias", "training", "momentum", "eps"),
    torch.batch_norm: (*_ATEN_ARGUMENTS, "training", "momentum", "eps", "cudnn_enabled"),
    torch.ops.aten.batch_norm.default: (
        *_ATEN_ARGUMENTS, "training", "momentum", "eps", "cudnn_enabled",
    ),
    torch.ops.aten._native_batch_norm_legit_no_training.default: (
        *_ATEN_ARGUMENTS, "momentum", "eps",
    ),
}  # fmt: skip
"""The calls that normalise by batch statistics, with the names of their arguments in order."""


@dataclass(frozen=True)
class Moments:
    """What enters one batch normalisation, relative to the statistics that it has stored.

    `first` and `second` are means over all positions of ``x − μ̂`` and ``(x − μ̂)²``, ``[n,
    channels]``. Means of them over images are the moments of a batch; taken about the stored mean,
    they lose nothing to cancellation where the two agree. `variance` is the stored one with the
    layer's epsilon, ``[channels]``.
    """

    first: Tensor
    second: Tensor
    variance: Tensor


def distance(first: Tensor, second: Tensor, variance: Tensor) -> Tensor:
    """``‖μ − μ̂‖₂ + ‖σ − σ̂‖₂`` over the channels (last axis) of the moments of a batch."""
    # Rounding may push the difference below 0, and the root has no slope there.
    deviation = (second - first.square()).clamp_min(1e-10).sqrt()
    total: Tensor = first.norm(dim=-1) + (deviation - variance.sqrt()).norm(dim=-1)
    return total


class Observer(TorchFunctionMode):
    """Reads along, while a classifier runs, what enters its batch normalisations.

    It sees modules, calls of `torch.nn.functional` and exported graphs alike, in this thread only,
    and leaves the classifier as it is. `moments` has one for each batch normalisation by stored
    statistics, in the order of the calls; `others` how often anything else that normalises was
    called, by name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[Moments] = []
        self.others: Counter[str] = Counter()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in BATCH_NORMS:
            self._read(dict(zip(BATCH_NORMS[func], args, strict=False)) | dict(kwargs))
        else:
            name = getattr(func, "__name__", "").partition(".")[0]
            if name.endswith("_norm"):
                self.others[name] += 1
        return func(*args, **kwargs)

    def _read(self, call: dict[str, Any]) -> None:
        if call.get("running_mean") is None:
            self.others["batch_norm without running statistics"] += 1
            return
        if call.get("training"):
            self.others["batch_norm in training mode"] += 1
            return
        image, mean = call["input"], call["running_mean"]
        apart = (image - mean.view(1, -1, *[1] * (image.dim() - 2))).flatten(1)
        apart = apart.view(len(image), len(mean), -1)
        self.moments.append(
            Moments(
                apart.mean(2), apart.square().mean(2), call["running_var"] + call.get("eps", 1e-5)
            )
        )


def count_outputs(model: nn.Module, image_size: int, device: str) -> int:
    """Logits that a classifier gives, after checking that batch-norm inversion can use it.

    It must take square RGB images, give finite logits, and have BatchNorm with running statistics
    and none without: the message says what it has.
    """
    images = torch.zeros(2, 3, image_size, image_size, device=device)
    try:
        with torch.no_grad(), Observer() as seen:
            logits = model(images)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise InputError(
            f"the classifier does not take images [n, 3, {image_size}, {image_size}] "
            f"({str(error).splitlines()[0]}); set the image size that it was trained with"
        ) from error
    _refuse_normalisation(seen)
    if not isinstance(logits, Tensor) or logits.dim() != 2 or not logits.isfinite().all():
        raise InputError("the classifier must give finite logits [n, classes] and nothing else")
    return logits.shape[1]


def _refuse_normalisation(seen: Observer) -> None:
    """Refuse a classifier whose batch normalisations keep no statistics, or that has none."""
    coupling = [name for name in seen.others if name.startswith("batch_norm")]
    if seen.moments and not coupling:
        return
    found = ", ".join(f"{name} × {count}" for name, count in sorted(seen.others.items()))
    raise InputError(
        "batch-norm inversion needs a classifier all of whose BatchNorm layers use running "
        f"statistics (evaluation mode, track_running_stats=True); this one has {len(seen.moments)} "
        f"such layers, and otherwise normalises by: {found or 'nothing'}. "
        "Give one with BatchNorm, or the diffusion generator"
    )


class ExportedClassifier(nn.Module):
    """An exported graph as an ordinary module; it is always in the mode it was exported in."""

    def __init__(self, program: torch.export.ExportedProgram) -> None:
        super().__init__()
        self.graph = program.module()

    def train(self, mode: bool = True) -> ExportedClassifier:
        """Nothing: a graph has no second mode."""
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[n, classes]``."""
        logits: Tensor = self.graph(images)
        return logits


def save_classifier(model: nn.Module, path: Path, image_size: int = 32) -> Path:
    """Write a classifier as a `torch.export` archive (`*.pt2`), for batches of any size.

    It takes ``[n, 3, image_size, image_size]`` and gives logits, and is left as it is.
    """
    frozen = copy.deepcopy(model).eval().cpu()
    example = (torch.zeros(2, 3, image_size, image_size),)
    program = torch.export.export(frozen, example, dynamic_shapes=({0: torch.export.Dim("n")},))
    with written_whole(path) as draft:
        torch.export.save(program, draft)
    return path


def load_classifier(path: Path) -> ExportedClassifier:
    """Read a classifier that `save_classifier` or `torch.export.save` has written."""
    if not path.is_file():
        raise InputError(f"classifier {path}: no such file; save one with save_classifier(…)")
    wrong = InputError(
        f"classifier {path} is no torch.export archive; write it with "
        "generators.classifier.save_classifier. TorchScript and pickled modules are not read"
    )
    # torch.export would log a traceback, and takes a TorchScript archive for a broken one.
    if not zipfile.is_zipfile(path):
        raise wrong
    with zipfile.ZipFile(path) as archive:
        if not any(name.endswith("archive_format") for name in archive.namelist()):
            raise wrong
    return ExportedClassifier(torch.export.load(path))
