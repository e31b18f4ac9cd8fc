"""The miniature CLIP: an open_clip model trained by its own contrastive loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generators.training.dataset import Work
from generators.training.loop import device, train
from generators.training.presets import Preset
from generators.training.text import CONTEXT, WIDTH, tokenize


def clip_config(preset: Preset, vocabulary: int) -> dict[str, Any]:
    """open_clip's configuration of the model (`open_clip_config.json`)."""
    return {
        "model_cfg": {
            "embed_dim": WIDTH,
            "vision_cfg": {
                "image_size": preset.image_size,
                "layers": [1, 1, 1, 1],
                "width": preset.clip,
                "head_width": 32,
            },
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


def build_clip(preset: Preset, vocabulary: int, seed: int) -> Any:
    """Untrained model."""
    from open_clip.model import CLIP

    config = dict(clip_config(preset, vocabulary)["model_cfg"])
    torch.manual_seed(seed)
    return CLIP(config.pop("embed_dim"), config.pop("vision_cfg"), config.pop("text_cfg"))


def train_clip(work: Work) -> Any:
    """Train the model on random views and captions."""
    from open_clip.loss import ClipLoss

    data, tokenizer = work.data, work.tokenizer
    model = build_clip(work.preset, len(tokenizer), work.seed)
    contrast = ClipLoss()

    def loss_of(rng: np.random.Generator, _: torch.Generator, size: int) -> Tensor:
        rows, views = data.batch(rng, size)
        unique, inverse = np.unique(work.captions(rng, rows, views), return_inverse=True)
        tokens = tokenize(tokenizer, list(unique)).to(device())
        text = model.encode_text(tokens, normalize=True)[torch.from_numpy(inverse).to(device())]
        images = torch.from_numpy(data.seen(rows, views)).to(device())
        image = model.encode_image(images, normalize=True)
        loss: Tensor = contrast(image, text, model.logit_scale.exp().clamp(max=100))
        return loss

    train("clip", model, loss_of, work.schedule("clip"), work.folder, work.seed)
    return model.eval()


def save_clip(model: Any, work: Work, folder: Path) -> None:
    """Write open_clip's local directory, in half precision."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = work.tokenizer
    state = {
        k: v.half().contiguous() for k, v in model.state_dict().items() if v.is_floating_point()
    }
    whole = {k: v for k, v in model.state_dict().items() if not v.is_floating_point()}
    save_file({**state, **whole}, folder / "open_clip_model.safetensors")
    text = json.dumps(clip_config(work.preset, len(tokenizer)), indent=2)
    (folder / "open_clip_config.json").write_text(text + "\n")
    tokenizer.save_pretrained(folder)
