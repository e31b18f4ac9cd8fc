"""Further images are new ones, whatever was asked before and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from generators.requests import Image, Request
from generators.store import ImageStore
from generators.synthesis import Curation, Synthesiser, incremental_images
from semantic.attributes import table_from_names
from semantic.space import SemanticSpace

SPACE = SemanticSpace(("cat", "dog"), ("red", "blue"), table_from_names(("cat", "dog")))


class Numbered:
    """Images that tell their seeds; a third of them is blank."""

    fingerprint = "numbered"
    batch_size = 4

    def generate(self, requests: Sequence[Request]) -> Image:
        images = np.zeros((len(requests), 8, 8, 3), np.uint8)
        for image, request in zip(images, requests, strict=True):
            if request.seed % 3:
                image[::2] = 255
                image[0] = np.frombuffer(request.seed.to_bytes(24, "big"), np.uint8).reshape(8, 3)
        return images

    def autoencode(self, images: Image) -> Image:
        return images


class Content:
    """A scorer that finds every image fitting."""

    space = SPACE
    fingerprint = "content"

    def scores(self, images: Image) -> np.ndarray:
        return np.full((len(images), 2, 2), np.log(0.25), np.float32)


def maker(root: Path, max_tries: float = 4.0) -> Synthesiser:
    curation = Curation(margin=-1.0, max_tries=max_tries)
    store = ImageStore(root, "numbered")
    return Synthesiser(Numbered(), Content(), store, curation, 0)  # type: ignore[arg-type]


def distinct(*images: Image) -> int:
    together = np.concatenate([batch.reshape(len(batch), -1) for batch in images])
    return len(np.unique(together, axis=0))


def test_they_follow_what_was_drawn_and_are_paid_once(tmp_path: Path) -> None:
    synthesiser = maker(tmp_path)
    pools = np.array([[6, 0], [0, 0]])
    first = synthesiser.fill(np.array([[5, 0], [0, 0]]), 0, 6)
    wanted = np.array([[4, 0], [3, 0]])
    added = incremental_images(synthesiser, pools, wanted)
    assert added.labels.tolist() == [0] * 4 + [1] * 3
    assert added.groups.tolist() == [0] * 7
    assert distinct(first.images, added.images) == 5 + 7
    later = incremental_images(synthesiser, pools + wanted, wanted)
    assert distinct(first.images, added.images, later.images) == 5 + 7 + 7
    again = incremental_images(maker(tmp_path), pools, wanted)  # another process, the same store
    assert np.array_equal(again.images, added.images)
    assert again.generated == 0
    assert again.reused >= 7
    same = incremental_images(synthesiser, pools, wanted)  # another client, the same process
    assert (same.generated, same.reused) == (0, again.reused)
    assert incremental_images(synthesiser, pools, 0 * wanted).images.shape == (0, 0, 0, 3)


def test_a_pool_that_curation_left_short_gives_nothing_twice(tmp_path: Path) -> None:
    synthesiser = maker(tmp_path, max_tries=1.0)
    pools, wanted = np.array([[9, 0], [0, 0]]), np.array([[9, 0], [0, 0]])
    base = synthesiser.pool(0, 0, 9)
    added = incremental_images(synthesiser, pools, wanted)
    assert base.deficit > 0
    assert 0 < len(added.images) <= 9
    assert distinct(np.stack(base.images), added.images) == len(base.images) + len(added.images)
