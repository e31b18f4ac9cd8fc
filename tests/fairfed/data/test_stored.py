"""Images that are kept decoded in a file: the same as in memory, and the memory that they take."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fairfed.config import Config
from fairfed.data import ImageTable, decoded, load_images
from fairfed.data.fingerprint import fingerprint
from fairfed.data.stored import PixelFile, StoredImages, chosen, joined
from fairfed.models.inputs import StoredInputs, first, in_memory, together
from semantic.errors import InputError
from tests.fairfed.data.folders import configure, noise, noises, write
from tests.fairfed.runs import logged, new_process, play, site_of

IN_FILE = "data.memory = 0"
Caplog = pytest.LogCaptureFixture


def _load(folder: Path, *overrides: str) -> ImageTable:
    return load_images(configure(folder, *overrides, f'data.cache = "{folder}-cache"'))


def _stored(folder: Path, *overrides: str) -> StoredImages:
    found = _load(folder, IN_FILE, *overrides).images
    assert isinstance(found, StoredImages)
    return found


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A hundred images: most of 8 bits, some of 16, a copy, and one that cannot be read."""
    folder = write(tmp_path / "mixed", noises(100), ["a", "b"])
    for row in (3, 50):
        deep = noise(row).astype(np.uint16) * 4
        write(tmp_path / "deep", {f"{row}.png": deep}, ["a"])
        shutil.copy(tmp_path / "deep" / f"{row}.png", folder)
    shutil.copy(folder / "10.png", folder / "12.png")
    (folder / "7.png").write_text("no image")
    return folder


def test_a_file_has_the_pixels_that_memory_has(mixed: Path) -> None:
    drop = 'data.duplicates = "drop"'
    held, stored = _load(mixed, drop), _load(mixed, drop, IN_FILE)
    assert len(held) == len(stored) == 98
    assert np.array_equal(np.asarray(stored.images), held.images)
    assert fingerprint(stored) == fingerprint(held)
    some = np.array([5, 0, 90, 5])
    assert np.array_equal(stored.take(some).images[1:], held.take(some).images[1:])


def test_a_second_run_decodes_nothing_and_says_the_same(mixed: Path, caplog: Caplog) -> None:
    _stored(mixed)
    before = caplog.text
    assert "100 images of 8 × 8 pixels are decoded once, into" in before
    assert "1 of 100 images cannot be read and are left out" in before
    assert "2 of 99 images have more than 8 bits" in before
    (file,) = Path(f"{mixed}-cache").glob("*.pixels")
    changed = file.stat().st_mtime_ns
    assert len(_stored(mixed)) == 99
    assert file.stat().st_mtime_ns == changed
    assert file.parent.stat().st_mode & 0o077 == 0


def test_changed_images_and_ways_to_decode_make_another_file(mixed: Path) -> None:
    first_pixels = _stored(mixed)[0]
    shutil.copy(mixed / "20.png", mixed / "0.png")
    assert not np.array_equal(_stored(mixed)[0], first_pixels)
    _stored(mixed, "data.image_size = 16")
    assert len(list(Path(f"{mixed}-cache").glob("*.pixels"))) == 3


def test_decoding_that_was_cut_short_begins_anew(
    mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, count = decoded.PixelWriter.__setitem__, iter(range(1000))

    def until_forty(self: decoded.PixelWriter, place: int, image: np.ndarray) -> None:
        if next(count) == 40:
            raise KeyboardInterrupt
        put(self, place, image)

    monkeypatch.setattr(decoded.PixelWriter, "__setitem__", until_forty)
    with pytest.raises(KeyboardInterrupt):
        _stored(mixed)
    monkeypatch.undo()
    assert np.array_equal(np.asarray(_stored(mixed)), _load(mixed).images)


def test_a_full_disk_is_said_before_anything_is_decoded(
    mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = lambda _: shutil._ntuple_diskusage(10, 10, 0)  # noqa: E731
    monkeypatch.setattr(decoded.shutil, "disk_usage", full)
    with pytest.raises(InputError, match=r"100 decoded images take 0\.0 GiB, and .* 0\.0 GiB free"):
        _stored(mixed)


def test_parts_are_chosen_and_joined_without_being_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), dtype=np.uint8)
    path = tmp_path / "x.pixels"
    path.write_bytes(pixels.tobytes())
    stored = StoredImages.whole(PixelFile(path, pixels.shape))
    more = 255 - pixels
    both = joined(
        [chosen(stored, np.array([8, 2])), more[:3], chosen(stored, pixels[:, 0, 0, 0] > 9)]
    )
    expected = np.concatenate([pixels[[8, 2]], more[:3], pixels[pixels[:, 0, 0, 0] > 9]])
    assert isinstance(both, StoredImages)
    assert np.array_equal(np.asarray(both), expected)
    assert np.array_equal(np.stack(list(both)), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(both))[-1], expected[-1])
    assert both.nbytes < expected.nbytes * 2
    inputs = together([StoredInputs(both), torch.from_numpy(more)])
    assert torch.equal(in_memory(inputs), torch.from_numpy(np.concatenate([expected, more])))
    assert torch.equal(in_memory(first(inputs, 4)), torch.from_numpy(expected[:4]))
    path.write_bytes(pixels.tobytes()[:-1])
    with pytest.raises(OSError, match="was cut while it was in use"):
        stored[8]


def test_a_run_over_a_file_is_the_run_over_memory(
    small: Callable[..., Config], tmp_path: Path
) -> None:
    cache = f'data.cache = "{tmp_path / "cache"}"'
    runs = []
    for memory in (4, 0):
        config = small(f'out = "{tmp_path / str(memory)}"', f"data.memory = {memory}", cache)
        play(config, workers=1)
        assert isinstance(site_of(config, 0).images.images, StoredImages) == (memory == 0)
        runs.append(logged(config))
        new_process()
    assert runs[0] == runs[1]
