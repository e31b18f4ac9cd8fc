"""CLIP through open_clip: images and texts in one space, with the model's own preprocessing."""

from __future__ import annotations

import difflib
import hashlib
import threading
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semantic.arrays import ImageRows
from semantic.errors import InputError
from semantic.known_words import KNOWN_WORDS, KnownWords, load_known_words

if TYPE_CHECKING:
    from torch import Tensor, nn

BUNDLED_CLIP = Path(str(files("semantic") / "bundled" / "clip"))
"""open_clip directory of the miniature CLIP that comes with the package."""

BATCH = 256
MOST_READ = 1024
"""Lists of texts whose embeddings an encoder keeps."""
UNKNOWN = (
    "CLIP model {source!r} (semantic.encoder) is not known: give 'bundled', a directory with "
    "open_clip_config.json, 'hf-hub:NAME', or MODEL/PRETRAINED of open_clip; near it are {close}"
)

NO_WEIGHTS = (
    "CLIP model {source!r} (semantic.encoder) names no weights, and without them it is random: "
    "give MODEL/PRETRAINED, as in {near}, or a directory ('local-dir:PATH')"
)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def hash_folder(folder: Path) -> str:
    """SHA-256 over the names and contents of a model directory's files.

    What the model is said to know is not part of it: no weight depends on it.
    """
    total = hashlib.sha256()
    files = (p for p in folder.rglob("*") if p.is_file() and p != folder / KNOWN_WORDS)
    for path in sorted(files):
        total.update(f"{path.relative_to(folder)}:{hash_file(path)}\n".encode())
    return total.hexdigest()


def hash_weights(model: nn.Module, name: str, pretrained: str | None) -> str:
    """SHA-256 over what open_clip was asked for and the weights that it loaded.

    What a hub or a weight file holds can change under its name; and equal weights embed otherwise
    in another architecture or after another preprocessing, which the names say.
    """
    import torch

    total = hashlib.sha256(f"{name}/{pretrained}\n".encode())
    for key, value in sorted(model.state_dict().items()):
        total.update(f"{key}:{value.dtype}:{tuple(value.shape)}\n".encode())
        total.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


class ClipEncoder:
    """An open_clip model, ready to embed.

    Parameters
    ----------
    source
        `"bundled"`; a directory with `open_clip_config.json`, or `"local-dir:…"`;
        `"MODEL/PRETRAINED"` as open_clip names them (`"ViT-B-32/laion2b_s34b_b79k"`); or
        `"hf-hub:…"`.
    device
        Where the model runs (torch's name).

    Attributes
    ----------
    model
        The open_clip model, frozen and in evaluation mode; whoever changes it copies it.
    tokenize
        Its tokenizer: texts to token numbers ``[n, length]``.
    dimension
        Length of an embedding.
    known_words
        What it was trained on, where its directory says so.
    fingerprint
        Hash of its files, or of its weights.

    Raises
    ------
    InputError
        If the model is not to be had; the message says how to get it.
    """

    def __init__(self, source: str = "bundled", device: str = "cpu") -> None:
        import open_clip
        from safetensors import SafetensorError

        check_source(source)
        name, pretrained = _open_clip_name(source)
        try:
            model, _, preprocess = open_clip.create_model_and_transforms(
                name, pretrained=pretrained, device=device
            )
            self.tokenize: Any = open_clip.get_tokenizer(name)
        except (RuntimeError, OSError, ValueError, SafetensorError) as error:
            raise InputError(
                f"CLIP model {source!r} could not be loaded ({error}). Give 'bundled', a directory "
                "with open_clip_config.json, or, where the hub can be reached once, "
                "'MODEL/PRETRAINED' as open_clip.list_pretrained() prints them."
            ) from error
        self.source = source
        self.device = device
        self.model: Any = model.eval().requires_grad_(False)
        self.dimension = int(self.model.visual.output_dim)
        self._preprocess: Any = preprocess
        self._read: dict[tuple[str, ...], Tensor] = {}
        folder = name.removeprefix("local-dir:")
        local = name != folder
        self.known_words: KnownWords | None = load_known_words(Path(folder)) if local else None
        self.fingerprint = (
            hash_folder(Path(folder)) if local else hash_weights(model, name, pretrained)
        )

    @property
    def scale(self) -> float:
        """Factor from cosine similarity to logits, as trained."""
        return float(self.model.logit_scale.exp())

    def embed_images(self, images: ImageRows) -> Tensor:
        """Unit embeddings, ``[n, dimension]``, of images ``[n, H, W, 3]``, 0 to 255, on the CPU."""
        import torch
        from PIL import Image

        parts = [torch.zeros(0, self.dimension)]
        for start in range(0, len(images), BATCH):
            batch = [self._preprocess(Image.fromarray(i)) for i in images[start : start + BATCH]]
            with torch.no_grad():
                found = self.model.encode_image(torch.stack(batch).to(self.device), normalize=True)
            parts.append(found.cpu())
        return torch.cat(parts)

    def embed_texts(self, texts: list[str]) -> Tensor:
        """Unit embeddings of texts, ``[len(texts), dimension]``, on the CPU."""
        import torch

        asked = tuple(texts)
        if asked not in self._read:  # every site asks for the same ones
            with torch.no_grad():
                tokens = self.tokenize(texts).to(self.device)
                found: Tensor = self.model.encode_text(tokens, normalize=True).cpu()
            if len(self._read) >= MOST_READ:
                self._read.clear()
            self._read[asked] = found
        return self._read[asked].clone()


def check_source(source: str) -> None:
    """Refuse a source that open_clip does not know, without loading anything.

    Nor may it name a model without weights. What a hub has is seen only when it is asked. The
    message names the nearest sources.
    """
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    name, pretrained = _open_clip_name(source)
    if name.startswith(("local-dir:", "hf-hub:")):
        return
    found = name in open_clip.list_models()
    if found and pretrained is None:
        tags = open_clip.list_pretrained_tags_by_model(name)
        near = ", ".join(f"{name}/{tag}" for tag in tags[:3]) or f"{name}/FILE"
        raise InputError(NO_WEIGHTS.format(source=source, near=near))
    weights = str(pretrained)
    if found and (get_pretrained_cfg(name, weights) or Path(weights).is_file()):
        return
    known = ["/".join(pair) for pair in open_clip.list_pretrained()]
    close = ", ".join(difflib.get_close_matches(source, known, n=3, cutoff=0.3))
    raise InputError(UNKNOWN.format(source=source, close=close or "'bundled'"))


def _open_clip_name(source: str) -> tuple[str, str | None]:
    """open_clip's model name and pretrained tag for a configured source."""
    folder = BUNDLED_CLIP if source == "bundled" else Path(source.removeprefix("local-dir:"))
    if (folder / "open_clip_config.json").is_file():
        return f"local-dir:{folder}", None
    if folder.is_dir() or source == "bundled" or source.startswith("local-dir:"):
        raise InputError(f"{folder} holds no open_clip_config.json; it is no open_clip directory")
    if source.startswith("hf-hub:"):
        return source, None
    name, _, pretrained = source.partition("/")
    return name, pretrained or None


_LOADING = threading.Lock()


def load_encoder(source: str = "bundled", device: str = "cpu") -> ClipEncoder:
    """Encoder for a source, loaded once per process; safe to call from several threads."""
    with _LOADING:
        return _cached_encoder(source, device)


@lru_cache(maxsize=4)
def _cached_encoder(source: str, device: str) -> ClipEncoder:
    return ClipEncoder(source, device)
