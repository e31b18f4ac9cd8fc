"""Batches that are filled over cells: fewer of them, the same images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from generators import lookahead
from generators.lookahead import LookAhead
from generators.requests import Image, Request
from semantic.space import Cell


class Counting:
    """Makes images that show their seeds; counts calls and images."""

    fingerprint = "counting"
    batch_size = 8

    def __init__(self) -> None:
        self.calls: list[int] = []

    def generate(self, requests: Sequence[Request]) -> Image:
        self.calls.append(len(requests))
        seeds = [np.full((2, 2, 3), request.seed % 256, np.uint8) for request in requests]
        return np.stack(seeds) if seeds else np.zeros((0, 2, 2, 3), np.uint8)

    def autoencode(self, images: Image) -> Image:
        return images


def _requests(*seeds: int) -> list[Request]:
    return [Request(Cell("bag", "all"), "a bag", seed) for seed in seeds]


def test_what_was_announced_rides_along_and_is_made_once() -> None:
    inner = Counting()
    ahead = LookAhead(inner)
    ahead.announce(_requests(*range(12)))
    for seed in range(12):
        assert ahead.generate(_requests(seed))[0, 0, 0, 0] == seed
    assert inner.calls == [8, 4]


def test_without_an_announcement_nothing_is_added() -> None:
    inner = Counting()
    images = LookAhead(inner).generate(_requests(5, 6, 5))
    assert images[:, 0, 0, 0].tolist() == [5, 6, 5]
    assert inner.calls == [2]
    assert LookAhead(inner).generate([]).shape == (0, 2, 2, 3)


def test_images_made_ahead_that_nobody_asks_for_cost_no_later_batch() -> None:
    inner = Counting()
    ahead = LookAhead(inner)
    ahead.announce(_requests(*range(1000, 1200), *range(40)))
    for seed in range(40):
        ahead.generate(_requests(seed))
    # 240 images fill 30 batches; before, the memory was full after four, and each image cost one.
    assert len(inner.calls) <= 240 / inner.batch_size
    assert set(inner.calls) == {inner.batch_size}


def test_memory_for_images_made_ahead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookahead, "MOST_BYTES", 8 * 12)
    inner = Counting()
    ahead = LookAhead(inner)
    ahead.announce(_requests(*range(1000, 1200)))
    for seed in range(4):
        ahead.generate(_requests(seed))
    made = sum(inner.calls)
    ahead.generate(_requests(*range(1020, 1028)))  # the youngest are there, the oldest made anew
    assert sum(inner.calls) == made
    ahead.generate(_requests(1000))
    assert sum(inner.calls) > made


def test_it_stands_for_the_generator() -> None:
    inner = Counting()
    ahead = LookAhead(inner)
    assert (ahead.fingerprint, ahead.batch_size) == ("counting", 8)
    assert ahead.seconds_per_image is None
    ahead.generate(_requests(1))
    assert ahead.seconds_per_image is not None
    image = np.ones((1, 2, 2, 3), np.uint8)
    assert np.array_equal(ahead.autoencode(image), image)
