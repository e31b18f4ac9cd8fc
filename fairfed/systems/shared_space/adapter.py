"""The federated model: a residual adapter on CLIP embeddings, scored by cosine to class vectors.

In the manner of CLIP-Adapter (Gao et al. 2021, arXiv 2110.04544), but for images and texts alike,
and trained among the classes that a client knows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairfed.config import TrainConfig

SCALE = 20.0
"""Factor from cosines to logits, near that of the bundled CLIP."""


class Adapter(nn.Module):
    """``z = x + V relu(U x + b) + c``; it begins as the identity.

    `hidden` is the rank of the change. The same seed gives the same ``U``.
    """

    def __init__(self, dimension: int, hidden: int, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        first = torch.randn(hidden, dimension, generator=draw) / dimension**0.5
        self.inward = nn.Parameter(first)
        self.inward_bias = nn.Parameter(torch.zeros(hidden))
        self.outward = nn.Parameter(torch.zeros(dimension, hidden))
        self.outward_bias = nn.Parameter(torch.zeros(dimension))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Adapted unit embeddings ``[n, d]`` of ``[n, d]``."""
        hidden = F.relu(F.linear(embeddings, self.inward, self.inward_bias))
        change = F.linear(hidden, self.outward, self.outward_bias)
        return F.normalize(embeddings + change, dim=1)

    def logits(self, embeddings: Tensor, classes: Tensor) -> Tensor:
        """Scaled cosines ``[n, C]`` to the unit vectors ``[C, d]`` of some classes."""
        found: Tensor = SCALE * self(embeddings) @ classes.T
        return found


def unit(embeddings: Tensor, centre: Tensor | None) -> Tensor:
    """Unit vectors ``[n, d]``, after a modality's centre ``[d]`` is subtracted, if it is given."""
    apart = embeddings if centre is None else embeddings - centre
    return F.normalize(apart, dim=1)


def blur(embeddings: Tensor, rows: Tensor, noise: float, draw: torch.Generator) -> Tensor:
    """Unit embeddings with fresh Gaussian noise of an expected norm on some `rows` ``[n]``.

    Noise on text makes a model that was trained on it work on images (CapDec: Nukrai et al. 2022,
    arXiv 2211.00575), and is the semantic knowledge augmentation of Sun et al. (arXiv 2208.13465).
    """
    if noise == 0.0 or not rows.any():
        return embeddings
    spread = noise / embeddings.shape[1] ** 0.5
    extra = spread * torch.randn(embeddings.shape, generator=draw)
    return torch.where(rows[:, None], F.normalize(embeddings + extra, dim=1), embeddings)


def train_adapter(
    model: Adapter,
    batches: Callable[[], list[Tensor]],
    embeddings: Tensor,
    targets: Tensor,
    classes: Tensor,
    *,
    competing: Tensor,
    texts: Tensor,
    noise: float,
    how: TrainConfig,
    draw: torch.Generator,
) -> float:
    """Train in place on one client's rows; the mean cross-entropy of the last epoch.

    `batches` draws the row numbers of an epoch's batches anew at every call. Embeddings are units
    ``[n, d]``, targets ``[n]`` positions in `classes` ``[C, d]``, of which each row shall be
    recognised among those `competing` ``[n, C]``, its own included; noise goes on rows that are
    `texts` ``[n]``.
    """
    optimiser = torch.optim.SGD(
        model.parameters(), lr=how.lr, momentum=how.momentum, weight_decay=how.weight_decay
    )
    mean = 0.0
    for _ in range(how.epochs):
        total, count = 0.0, 0
        for rows in batches():
            seen = blur(embeddings[rows], texts[rows], noise, draw)
            logits = model.logits(seen, classes).masked_fill(~competing[rows], -torch.inf)
            loss = F.cross_entropy(logits, targets[rows])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total, count = total + loss.item() * len(rows), count + len(rows)
        mean = total / count
    return mean
