"""The miniature CLIP: an open_clip model trained by its own contrastive loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generators.training.dataset import Work
from generators.training.loop import Schedule, device, train
from generators.training.text import CONTEXT, WIDTH, tokenize

SCHEDULE = Schedule(steps=1300, batch_size=256, learning_rate=2e-3, weight_decay=0.05)


def clip_config(vocabulary: int) -> dict[str, Any]:
    """open_clip's configuration of the model (`open_clip_config.json`)."""
    return {
        "model_cfg": {
            "embed_dim": WIDTH,
            "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 20, "head_width": 32},
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": vocabulary,
                "width": WIDTH,
                "heads": 4,
                "layers": 2,
                "hf_tokenizer_name": "local",
            },
        },
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"},
    }


def build_clip(vocabulary: int, seed: int) -> Any:
    """Untrained model."""
    from open_clip.model import CLIP

    config = dict(clip_config(vocabulary)["model_cfg"])
    torch.manual_seed(seed)
    return CLIP(config.pop("embed_dim"), config.pop("vision_cfg"), config.pop("text_cfg"))


def train_clip(work: Work) -> Any:
    """Train the model on random tints and captions."""
    from open_clip.loss import ClipLoss

    data, tokenizer = work.data, work.tokenizer
    model = build_clip(len(tokenizer), work.seed)
    contrast = ClipLoss()

    def loss_of(rng: np.random.Generator, _: torch.Generator, size: int) -> Tensor:
        rows, tints = data.batch(rng, size)
        unique, inverse = np.unique(work.captions(rng, rows, tints), return_inverse=True)
        tokens = tokenize(tokenizer, list(unique)).to(device())
        text = model.encode_text(tokens, normalize=True)[torch.from_numpy(inverse).to(device())]
        images = torch.from_numpy(data.tinted(rows, tints)).to(device())
        image = model.encode_image(images, normalize=True)
        loss: Tensor = contrast(image, text, model.logit_scale.exp().clamp(max=100))
        return loss

    train("clip", model, loss_of, SCHEDULE, work.folder, work.seed)
    return model.eval()


def save_clip(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write open_clip's local directory, in half precision."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {
        k: v.half().contiguous() for k, v in model.state_dict().items() if v.is_floating_point()
    }
    whole = {k: v for k, v in model.state_dict().items() if not v.is_floating_point()}
    save_file({**state, **whole}, folder / "open_clip_model.safetensors")
    text = json.dumps(clip_config(len(tokenizer)), indent=2)
    (folder / "open_clip_config.json").write_text(text + "\n")
    tokenizer.save_pretrained(folder)
