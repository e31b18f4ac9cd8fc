"""Tokens from a CLIP image embedding: what lets the miniature UNet follow a prototype.

The UNet stays as it is. A linear map turns an image embedding into a few further tokens beside the
prompt's (as IP-Adapter does; Ye et al. 2023, arXiv 2308.06721, there with attention of its own). It
is trained on means of one to sixteen images of a cell, because prototypes are means.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generators.training.dataset import PIPELINE, TrainingImages, Work
from generators.training.loop import device, train
from generators.training.text import WIDTH, hidden_states
from generators.training.unet import all_latents, velocity_loss, weights_of

TOKENS = 4
DROP = 0.1
"""Share of rows without prompt and embedding, for classifier-free guidance."""
NAMED = 0.3
"""Share of the others whose prompt is a full caption; the rest say `a photo of a red item`."""
BANK = 4000
"""Images whose embeddings the means are made of."""
MOST_MEAN = 16
FILE = "image_projection.safetensors"


class ImageProjection(nn.Module):
    """``[n, WIDTH]`` unit image embeddings to ``[n, TOKENS, WIDTH]`` conditioning."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(WIDTH, TOKENS * WIDTH)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Tokens of the embeddings; a zero vector gives those of the unconditional branch."""
        tokens: Tensor = self.linear(embeddings)
        return tokens.reshape(len(embeddings), TOKENS, WIDTH)


@torch.no_grad()
def _embeddings(clip: Any, data: TrainingImages) -> Tensor:
    """Image embeddings in every view, ``[n_views, n, WIDTH]``."""
    parts = []
    rows = np.arange(len(data.images))
    for view in range(data.views):
        images = torch.from_numpy(data.seen(rows, np.full(len(rows), view)))
        found = [clip.encode_image(b.to(device()), normalize=True) for b in images.split(256)]
        parts.append(torch.cat(found).cpu())
    return torch.stack(parts)


def train_projection(work: Work, clip: Any, pipe: Any) -> ImageProjection:
    """Train the projection on the frozen UNet of `pipe`, with the CLIP whose text tower it has."""
    torch.manual_seed(work.seed)
    model = ImageProjection()
    nn.init.normal_(model.linear.weight, std=0.5)
    data = work.data
    latents = all_latents(pipe.vae, data, work.folder)
    chosen = np.random.default_rng(work.seed).permutation(len(data.images))[:BANK]
    few = data.rows(chosen)
    of_few = replace(work, data=few)
    bank = _embeddings(clip.to(device()), few)
    members = {int(label): np.flatnonzero(few.labels == label) for label in set(few.labels)}
    loss_of_noise = velocity_loss(pipe.unet.to(device()).requires_grad_(False))

    def mean_embedding(rng: np.random.Generator, row: int, view: int) -> Tensor:
        count = int(2 ** rng.integers(0, np.log2(MOST_MEAN) + 1))
        company = rng.choice(members[int(few.labels[row])], count - 1)
        mean: Tensor = bank[view, [row, *company]].mean(0)
        unit: Tensor = mean / mean.norm()
        return unit

    def loss_of(rng: np.random.Generator, noise: torch.Generator, size: int) -> Tensor:
        rows, views = few.batch(rng, size)
        texts, pairs = of_few.captions(rng, rows, views), list(zip(rows, views, strict=True))
        plain = [" ".join(f"a photo of a {few.said(*pair)} item".split()) for pair in pairs]
        texts = [t if rng.random() < NAMED else p for t, p in zip(texts, plain, strict=True)]
        dropped = rng.random(size) < DROP
        prompts = ["" if drop else text for drop, text in zip(dropped, texts, strict=True)]
        vectors = torch.stack([mean_embedding(rng, *pair) for pair in pairs])
        vectors[torch.from_numpy(dropped)] = 0
        hidden = hidden_states(pipe.text_encoder, pipe.tokenizer, prompts)
        conditioning = torch.cat([hidden, model(vectors.to(device()))], dim=1)
        clean = latents[torch.from_numpy(views), torch.from_numpy(chosen[rows])].float()
        return loss_of_noise(clean.to(device()), conditioning, noise)

    pipe.text_encoder.to(device())
    of = weights_of(work.folder, f"{PIPELINE}/unet")
    pace = work.schedule("projection")
    train("projection", model, loss_of, pace, work.folder, work.seed, of=of)
    return model


def save_projection(model: ImageProjection, pipeline: Path) -> None:
    """Write the projection beside the pipeline whose UNet it was trained for."""
    from safetensors.torch import save_file

    state = {name: value.half().contiguous() for name, value in model.linear.state_dict().items()}
    save_file(state, pipeline / FILE)
