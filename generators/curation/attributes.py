"""The attribute check: CLIP must see the attributes of the class, whatever it calls the class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from generators.curation.distances import Floats
from semantic.conditioning import UNNAMED_NOUN
from semantic.measures import WORDS
from semantic.space import CellScorer

NEUTRAL = f"a photo of a {UNNAMED_NOUN}"
"""What an image is compared with: it shows something, and no attribute is named."""


def attribute_texts(scorer: CellScorer, class_name: str) -> npt.NDArray[np.float32]:
    """Unit text embeddings of the neutral prompt and of it with each phrase typical of the class.

    ``[1 + n_phrases, dimension]``. Words measured on single images (`semantic.measures`) are left
    out: a class shows one of them or another.
    """
    phrases = [p for p in scorer.space.table.phrases(class_name) if p not in WORDS]
    prompts = [NEUTRAL, *(f"{NEUTRAL}, {phrase}" for phrase in phrases)]
    found: npt.NDArray[np.float32] = scorer.encoder.embed_texts(prompts).numpy()
    return found


def agreement(
    embeddings: npt.NDArray[np.float32], texts: npt.NDArray[np.float32], scale: float
) -> Floats:
    """How much CLIP prefers an attribute's prompt to the neutral one, mean over the attributes.

    ``[n]`` in (0, 1) for `embeddings` ``[n, dimension]``, 0.5 where CLIP is indifferent; NaN if the
    class has no attribute. `scale` is CLIP's factor from cosine similarity to logits.
    """
    if len(texts) < 2:
        return np.full(len(embeddings), np.nan)
    logits = scale * (embeddings @ texts.T).astype(np.float64)
    preference: Floats = (1 / (1 + np.exp(logits[:, :1] - logits[:, 1:]))).mean(1)
    return preference
