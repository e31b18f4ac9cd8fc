"""From plans to accepted images, with a generator and a scorer that are easy to foresee."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from generators.requests import Image, Request
from generators.store import ImageStore
from generators.synthesis import Curation, Synthesiser
from semantic.attributes import table_from_names
from semantic.space import SemanticSpace

SPACE = SemanticSpace(("cat", "dog"), ("red", "blue"), table_from_names(("cat", "dog")))


class FakeGenerator:
    """Images whose first pixel is the seed's last digits; every fifth is blank."""

    fingerprint = "fake"
    batch_size = 4

    def __init__(self) -> None:
        self.made = 0

    def generate(self, requests: Sequence[Request]) -> Image:
        self.made += len(requests)
        images = np.zeros((len(requests), 8, 8, 3), np.uint8)
        for image, request in zip(images, requests, strict=True):
            if request.seed % 5:
                image[::2] = 255
                image[0, 0, 0] = request.seed % 251
        return images

    def autoencode(self, images: Image) -> Image:
        return images


class FakeScorer:
    """Gives cell (0, 0) every image whose first pixel is even."""

    space = SPACE
    fingerprint = "scorer"

    def scores(self, images: Image) -> np.ndarray:
        scores = np.full((len(images), 2, 2), np.log(0.1), np.float32)
        even = images[:, 0, 0, 0] % 2 == 0
        scores[even, 0, 0] = np.log(0.7)
        scores[~even, 1, 1] = np.log(0.7)
        return scores


def _maker(root: Path, generator: FakeGenerator) -> Synthesiser:
    store = ImageStore(root, generator.fingerprint)
    curation = Curation(margin=0.0, max_tries=4.0)
    return Synthesiser(generator, FakeScorer(), store, curation, 0)  # type: ignore[arg-type]


def test_rejected_images_are_replaced_and_counted_by_reason(tmp_path: Path) -> None:
    pool = _maker(tmp_path, FakeGenerator()).pool(0, 0, 6)
    assert len(pool.images) == 6
    assert all(image[0, 0, 0] % 2 == 0 and image.any() for image in pool.images)
    assert pool.rejected["margin"] > 0
    assert pool.rejected["blank"] > 0
    assert all(entry.margin == pytest.approx(np.log(7), abs=1e-3) for entry in pool.entries)


def test_cell_that_cannot_be_filled_is_reported_short(tmp_path: Path) -> None:
    made = _maker(tmp_path, FakeGenerator()).fill(np.array([[0, 5], [0, 0]]), 0, 5)
    assert made.requested.tolist() == [[0, 5], [0, 0]]
    assert made.accepted.sum() == 0
    assert len(made.labels) == 0
    assert sum(cells[0, 1] for cells in made.rejected.values()) == 20


def test_nothing_is_made_twice(tmp_path: Path) -> None:
    wanted = np.array([[3, 0], [0, 3]])
    first, second = FakeGenerator(), FakeGenerator()
    one = _maker(tmp_path, first).fill(wanted, 0, 6)
    two = _maker(tmp_path, second).fill(wanted, 0, 6)
    assert one.generated == first.made > 0
    assert two.reused == first.made
    assert (two.generated, second.made) == (0, 0)
    assert np.array_equal(one.images, two.images)


def test_interruption_continues_with_the_same_images(tmp_path: Path) -> None:
    whole = _maker(tmp_path / "whole", FakeGenerator()).pool(0, 0, 8)
    _maker(tmp_path / "cut", FakeGenerator()).pool(0, 0, 2)
    rest = FakeGenerator()
    continued = _maker(tmp_path / "cut", rest).pool(0, 0, 8)
    assert np.array_equal(np.stack(whole.images), np.stack(continued.images))
    assert 0 < rest.made < whole.generated


def test_clients_draw_different_images_of_a_shared_pool_and_none_of_anothers(
    tmp_path: Path,
) -> None:
    maker = _maker(tmp_path, FakeGenerator())
    wanted = np.array([[4, 0], [0, 0]])
    shared = [maker.fill(wanted, client, 12) for client in (0, 1)]
    assert shared[1].generated == 0
    assert not np.array_equal(shared[0].images, shared[1].images)
    own = [maker.fill(wanted, client, 12, share=False) for client in (0, 1)]
    assert own[0].generated > 0
    assert own[1].generated > 0


def test_labels_and_groups_follow_the_plan(tmp_path: Path) -> None:
    made = _maker(tmp_path, FakeGenerator()).fill(np.array([[2, 0], [0, 1]]), 3, 2)
    assert made.labels.tolist() == [0, 0, 1]
    assert made.groups.tolist() == [0, 0, 1]
    assert made.accepted.tolist() == [[2, 0], [0, 1]]


def test_an_image_scored_by_another_clip_is_scored_again(tmp_path: Path) -> None:
    _maker(tmp_path, FakeGenerator()).pool(0, 0, 2)
    again = FakeGenerator()
    maker = _maker(tmp_path, again)
    maker._scorer.fingerprint = "another"  # type: ignore[misc]
    pool = maker.pool(0, 0, 2)
    assert again.made > 0
    assert {entry.scorer for entry in pool.entries} == {"another"}
