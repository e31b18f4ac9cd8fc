"""Is an image in an update? Gradient inversion (Geiping et al., NeurIPS 2020, arXiv 2003.14053).

An image is sought whose gradient points where the update points. What is found is compared with
the true image and with others: only if the true one is the nearest has the update shown it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairfed.attacks.target import target_of
from fairfed.config.training import training_settings
from fairfed.models.training import as_float
from fairfed.systems.classifier.experiment import start_model
from fairfed.systems.classifier.noised import planned

STEPS, RATE, SMOOTHNESS = 600, 0.02, 1e-2
"""Steps of Adam, their size (of pixels in 0 to 1), and how much total variation weighs."""
TOGETHER, OTHERS = 10, 100
"""Images whose steps are averaged, and images that what was found is compared with besides."""


@dataclass(frozen=True)
class Inverted:
    """What inversion of some updates came to.

    Attributes
    ----------
    target
        What each update was of.
    updates
        How many were inverted.
    recognised
        How often the nearest image to what was found, of the true ones and others, was a true one.
    chance
        How often that would be so by guessing.
    likeness
        Mean correlation of what was found with the true image, over pixels; 1: alike but for
        brightness and contrast, which normalisation layers hide.
    """

    target: str
    updates: int
    recognised: int
    chance: float
    likeness: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def gradient_of(model: nn.Module, images: Tensor, labels: Tensor, *, keep: bool = False) -> Tensor:
    """Gradient of the mean loss, as one vector; with `keep` it can be descended on itself."""
    loss = F.cross_entropy(model(images), labels)
    own = [p for p in model.parameters() if p.requires_grad]
    return torch.cat([g.ravel() for g in torch.autograd.grad(loss, own, create_graph=keep)])


def noised(gradient: Tensor, clip: float, noise: float, draws: torch.Generator) -> Tensor:
    """A row's gradient as DP-SGD sends it: shortened, with noise."""
    short = gradient * min(1.0, clip / float(gradient.norm()))
    return short + noise * clip * torch.randn(short.shape, generator=draws)


def inverted(
    model: nn.Module, gradient: Tensor, labels: Tensor, shape: Sequence[int], seed: int
) -> Tensor:
    """Images ``[n, 3, H, W]`` in 0 to 1 whose gradient is like a given one; labels are known."""
    draws = torch.Generator().manual_seed(seed)
    found = 0.5 + 0.05 * torch.randn((len(labels), *shape), generator=draws)
    found.requires_grad_()
    steps = torch.optim.Adam([found], RATE)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(steps, STEPS)
    for _ in range(STEPS):
        steps.zero_grad()
        here = gradient_of(model, found, labels, keep=True)
        rough = found.diff(dim=2).abs().mean() + found.diff(dim=3).abs().mean()
        (1 - F.cosine_similarity(here, gradient, dim=0) + SMOOTHNESS * rough).backward()
        if found.grad is not None:
            found.grad.sign_()
        steps.step()
        slower.step()
        with torch.no_grad():
            found.clamp_(0, 1)
    return found.detach()


def correlation(one: Tensor, others: Tensor) -> Tensor:
    """Correlation of an image ``[3, H, W]`` with others ``[n, 3, H, W]`` over pixels, ``[n]``."""
    flat, rows = one.flatten(), others.flatten(1)
    flat, rows = flat - flat.mean(), rows - rows.mean(1, keepdim=True)
    return F.cosine_similarity(rows, flat[None])


def recognise(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    others: Tensor,
    target: str,
    *,
    together: int = 1,
    dp: tuple[float, float] | None = None,
    seed: int = 0,
) -> Inverted:
    """Invert updates of one step each, and look for the true images among others.

    Parameters
    ----------
    model
        From which the step was made; in evaluation mode.
    images, labels
        Whose updates: ``[n, 3, H, W]`` in 0 to 1, and their classes.
    others
        Images to compare with, likewise.
    target
        What to call it.
    together
        So many images' updates are averaged, as a sum under masks of so many sites would show.
    dp
        Clip and noise of each image's update.
    seed
        Of starts and noise.
    """
    draws = torch.Generator().manual_seed(seed)
    right, likeness, updates = 0, [], 0
    for first in range(0, len(images) - together + 1, together):
        own, of = images[first : first + together], labels[first : first + together]
        parts = [gradient_of(model, own[k : k + 1], of[k : k + 1]) for k in range(together)]
        if dp is not None:
            parts = [noised(part, *dp, draws) for part in parts]
        found = inverted(model, torch.stack(parts).mean(0), of, own.shape[1:], seed + first)
        candidates = torch.cat([own, others])
        for k, image in enumerate(found):
            near = correlation(image, candidates)
            right += int(near.argmax()) < together
            likeness.append(float(near[k]))
            updates += 1
    chance = together / (together + len(others))
    return Inverted(target, updates, right, chance, sum(likeness) / max(1, len(likeness)))


def invert_run(run_dir: Path, arm_name: str, images: int, seed: int = 0) -> list[Inverted]:
    """Invert first steps of a run's clients: of one image each, of ten together, with its noise.

    A step of one image is the worst case: those of a run are of whole batches. Of tables and frozen
    embeddings there are none.

    Parameters
    ----------
    run_dir, arm_name
        Which arm of which finished simulation.
    images
        How many steps of one image.
    seed
        Which images, and of starts and noise.
    """
    opened = target_of(run_dir, arm_name)
    study, arm = opened.study, opened.arm
    own = [site for site in opened.own_sites if len(site.rows.train)]
    held = [site.model_rows(site.rows.train, arm) for site in own]
    if not images or any(rows.dtype != torch.uint8 for rows in held):
        return []
    model = start_model(study, arm).eval()
    draws = np.random.default_rng(seed)
    pixels, labels = [], []
    for turn in range(max(images, TOGETHER) + OTHERS):
        k = turn % len(own)
        row = int(draws.integers(len(own[k].rows.train)))
        pixels.append(as_float(held[k][torch.tensor([row])]))
        labels.append(int(own[k].table.labels[own[k].rows.train[row]]))
    every, classes = torch.cat(pixels), torch.tensor(labels)
    others, asked = every[-OTHERS:], every[:-OTHERS]
    few = asked[:images], classes[:images]
    found = [recognise(model, *few, others, "a step of one image", seed=seed)]
    many = asked[:TOGETHER], classes[:TOGETHER]
    found.append(
        recognise(model, *many, others, f"of {TOGETHER} images", together=TOGETHER, seed=seed)
    )
    dp = study.told.train.dp
    if dp is not None:
        training = own[0].training_set(arm)
        how = training_settings(study.told, arm)
        mechanism, _, _ = planned(study.told, training, how)
        noise = dp.clip, mechanism.noise
        found.append(recognise(model, *few, others, "of one image, noised", dp=noise, seed=seed))
    return found
