"""The content-addressed store of synthetic images: what was paid for once is never made twice.

A store holds one folder per generator: `generator.json`, `images/<k>/<key>.png`, and
`manifest.jsonl` with one row per image. A PNG is written first, whole or not at all; its row
follows, whole or not at all. What an interruption leaves is a complete entry, or a PNG without a
row, which says itself what it is and is taken up again.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from generators.requests import Generator, Image, Request
from generators.writing import append_whole, explained, replace_whole

logger = logging.getLogger("fairfed")

PACKAGES = ("torch", "diffusers", "transformers", "open_clip_torch", "numpy", "pillow")
"""Packages whose version may change an image or its score."""


@dataclass(frozen=True)
class Entry:
    """One row of the manifest: what was asked, and of whom, and what came of it.

    `key` is a hash of the request and the generator. `scorer` is the identity of the CLIP and the
    prompts behind `score` (probability that CLIP gives the cell) and `margin` (log-probability of
    the cell minus the best other cell's, in nats), empty where none were taken. `deviation` is that
    of the pixels, 0 to 255, near 0 for a blank image; `file_hash` the SHA-256 of the PNG.
    `prototype` and `source` are digests of the embedding and of the real image that it was made
    from, empty for none: they stay in the store of the client whose they are. `fault` says what was
    wrong with the generator's output, whose place a black image takes.
    """

    key: str
    class_name: str
    group: str
    prompt: str
    seed: int
    generator: str
    scorer: str
    score: float
    margin: float
    deviation: float
    file_hash: str
    synthetic: bool = True
    negative: str = ""
    terms: tuple[tuple[str, float], ...] = ()
    prototype: str = ""
    source: str = ""
    fault: str = ""


_ROW = TypeAdapter(Entry)
"""Reads a row; what a newer version has added to rows is left aside."""


def request_key(request: Request, generator: str) -> str:
    """Address of the image that a generator makes of a request."""
    cell, source = request.cell, request.source
    parts: list[object] = [cell.class_name, cell.group, request.prompt, request.seed, generator]
    further = request.negative, request.terms, request.prototype, source and source.digest
    if any(further):
        parts.extend(further)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class ImageStore:
    """Images of one generator, by its fingerprint, shared by threads and processes.

    Every method that writes raises `StoreError` if the disk is full or the folder is not writable.
    What was there before stays as it was.
    """

    def __init__(self, root: Path, generator: str) -> None:
        self.folder = root / generator
        self.generator = generator
        self._manifest = self.folder / "manifest.jsonl"
        self._entries: dict[str, Entry] = {}
        self._read = 0
        self._weights = ""
        self._guard = threading.RLock()
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        if self._manifest.is_file():
            append_whole(self._manifest, b"")
        self.refresh()

    def describe(self, facts: Mapping[str, object]) -> None:
        """Write what the generator is to `generator.json`, unless it is there already."""
        self._weights = str(facts.get("weights", ""))
        path = self.folder / "generator.json"
        if not path.is_file():
            replace_whole(path, (json.dumps(facts, indent=2, default=str) + "\n").encode())

    def refresh(self) -> None:
        """Read the rows that other processes have added."""
        with self._guard:
            if not self._manifest.is_file():
                return
            with self._manifest.open("rb") as handle:
                handle.seek(self._read)
                for line in handle:
                    if not line.endswith(b"\n"):
                        break
                    self._read += len(line)
                    self._add_row(line)

    def _add_row(self, line: bytes) -> None:
        try:
            entry = _ROW.validate_json(line)
        except ValidationError:
            if line.strip():
                logger.warning(
                    "%s: skipped a damaged row; its image is taken up again", self._manifest
                )
            return
        self._entries[entry.key] = entry

    def path_of(self, key: str) -> Path:
        """File of an image."""
        return self.folder / "images" / key[:2] / f"{key}.png"

    def get(self, key: str) -> tuple[Entry, Image] | None:
        """Entry and image ``[H, W, 3]`` of a key, or None where the store has no sound one."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        path = self.path_of(key)
        content = path.read_bytes() if path.is_file() else b""
        sound = hashlib.sha256(content).hexdigest() == entry.file_hash
        decoded = decode_png(content) if sound else None
        if decoded is None:
            logger.warning("%s is missing or damaged; it is made again", path)
            return None
        return entry, decoded[0]

    def orphan(self, key: str) -> Image | None:
        """Image ``[H, W, 3]`` whose row was lost, if its file proves that it is this key's."""
        path = self.path_of(key)
        decoded = decode_png(path.read_bytes()) if path.is_file() else None
        if decoded is None:
            return None
        image, text = decoded
        proven = text.get("key") == key and text.get("pixels") == pixel_digest(image)
        return image if proven and not text.get("fault") else None

    def put(
        self,
        request: Request,
        image: Image,
        *,
        scorer: str,
        score: float,
        margin: float,
        fault: str = "",
    ) -> Entry:
        """Add an image with its scores; replaces an entry of the same key."""
        key = request_key(request, self.generator)
        content = encode_png(image, self._chunks(key, request, image, fault))
        vector = np.array(request.prototype, np.float64)
        entry = Entry(
            key=key,
            class_name=request.cell.class_name,
            group=request.cell.group,
            prompt=request.prompt,
            seed=request.seed,
            generator=self.generator,
            scorer=scorer,
            score=round(score, 6),
            margin=round(margin, 4),
            deviation=round(float(image.std()), 3),
            file_hash=hashlib.sha256(content).hexdigest(),
            negative=request.negative,
            terms=request.terms,
            prototype=hashlib.sha256(vector.tobytes()).hexdigest() if len(vector) else "",
            source=request.source.digest if request.source else "",
            fault=fault,
        )
        replace_whole(self.path_of(key), content)
        with self._guard:
            append_whole(self._manifest, (json.dumps(asdict(entry)) + "\n").encode())
            self._entries[key] = entry
        return entry

    def _chunks(self, key: str, request: Request, image: Image, fault: str) -> dict[str, str]:
        """Provenance of an image; chunks that would be empty are left out."""
        terms = json.dumps(request.terms) if request.terms else ""
        chunks = {
            "synthetic": "true",
            "key": key,
            "prompt": request.prompt,
            "negative": request.negative,
            "terms": terms,
            "seed": str(request.seed),
            "generator": self.generator,
            "model": self._weights,
            "pixels": pixel_digest(image),
            "fault": fault,
        }
        return {name: text for name, text in chunks.items() if text}

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a name against every other thread and process, with the manifest up to date."""
        from filelock import FileLock

        folder = self.folder / "locks"
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        lock = FileLock(folder / f"{digest}.lock", thread_local=False, is_singleton=False)
        with explained(folder):
            folder.mkdir(exist_ok=True)
            lock.acquire()
        try:
            self.refresh()
            yield
        finally:
            lock.release()


def encode_png(image: Image, text: Mapping[str, str]) -> bytes:
    """PNG of ``[H, W, 3]`` with its provenance in text chunks."""
    from PIL import Image as Pillow
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for name, value in text.items():
        info.add_text(name, value)
    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def decode_png(content: bytes) -> tuple[Image, dict[str, str]] | None:
    """Image ``[H, W, 3]`` and text chunks of a PNG, or None if it is no sound PNG."""
    from PIL import Image as Pillow
    from PIL.PngImagePlugin import PngImageFile

    try:
        with Pillow.open(io.BytesIO(content), formats=["PNG"]) as opened:
            image = np.asarray(opened.convert("RGB"))
            text = dict(opened.text) if isinstance(opened, PngImageFile) else {}
    except (OSError, SyntaxError, ValueError):  # Pillow raises any of them for a damaged file
        return None
    return image, text


def pixel_digest(image: Image) -> str:
    """SHA-256 of an image's shape and pixels."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def describe_generator(generator: Generator) -> dict[str, object]:
    """What a generator is, as JSON: settings and weights, where it tells them, and packages."""
    facts: dict[str, object] = {"fingerprint": generator.fingerprint}
    settings = getattr(generator, "settings", None)
    if is_dataclass(settings) and not isinstance(settings, type):
        facts["settings"] = asdict(settings)
    weights = getattr(generator, "weights", None)
    if isinstance(weights, str):
        facts["weights"] = weights
    facts["versions"] = {name: found for name in PACKAGES if (found := _version(name))}
    return facts


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
