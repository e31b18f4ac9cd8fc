"""What a CLIP tells apart in real images, read by an encoder whose every answer is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from semantic.attributes import table_from_names
from semantic.encoder import ClipEncoder
from semantic.sight import Reader, balanced, without
from semantic.space import SemanticSpace

WORDS = ("cat", "dog", "red", "blue")


class Words(ClipEncoder):
    """Embeds a text by the words it holds, and an image by its first pixel: four bits, one each."""

    def __init__(self) -> None:
        self.seen = 0

    def embed_texts(self, texts: list[str]) -> torch.Tensor:
        rows = [[1.0] + [float(word in text.split()) for word in WORDS] for text in texts]
        return torch.nn.functional.normalize(torch.tensor(rows), dim=1)

    def embed_images(self, images: np.ndarray) -> torch.Tensor:
        self.seen += len(images)
        first = images[:, 0, 0, 0].astype(int)
        rows = [[1.0] + [float(value >> bit & 1) for bit in range(4)] for value in first.tolist()]
        return torch.nn.functional.normalize(torch.tensor(rows), dim=1)


def _reader(shown: Sequence[int], labels: Sequence[int]) -> Reader:
    space = SemanticSpace(("cat", "dog"), ("all",), table_from_names(("cat", "dog")))
    images = np.zeros((len(shown), 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = shown
    return Reader(Words(), space, images, np.array(labels))


def test_classes_that_the_images_show_are_told_apart() -> None:
    found = _reader([1, 2] * 20, [0, 1] * 20).classes()
    assert (found.n, found.right, found.chance, found.blind) == (40, 40, 0.5, False)
    interval = binomtest(40, 40).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert "reads class rightly in 100 %" in found.explain()


def test_reading_one_class_into_everything_is_no_skill() -> None:
    found = _reader([1] * 200, [0] * 150 + [1] * 50).classes()
    # A balanced sample: right for one class of two, however many images it has.
    assert (found.n, found.right) == (100, 50)
    assert found.blind


def test_values_of_a_column_are_read_within_the_class_of_each_image() -> None:
    labels, codes = [0, 0, 1, 1] * 10, [0, 1, 0, 1] * 10
    shown = [(1 << label) | (4 << code) for label, code in zip(labels, codes, strict=True)]
    reader = _reader(shown, labels)
    assert not reader.column("colour", ["red", "blue"], np.array(codes)).blind
    hidden = reader.column("light", ["lamp", "day"], np.array(codes))
    assert hidden.right == hidden.n // 2
    assert hidden.blind


def test_too_few_images_give_no_verdict() -> None:
    found = _reader([1, 2] * 9, [0, 1] * 9).classes()
    assert (found.n, found.tested, found.blind) == (18, False, False)
    assert "too few real images" in found.explain()
    nothing = _reader([1] * 30, [0] * 30).column("colour", [], np.full(30, -1))
    assert (nothing.n, nothing.tested) == (0, False)
    assert nothing.to_json()["low"] is None


def test_images_are_embedded_once_and_those_of_no_class_never() -> None:
    reader = _reader([1, 2, 5, 10] * 20, [0, 1, -1, -1] * 20)
    reader.classes()
    reader.column("colour", ["red", "blue"], np.array([0, 1, 0, 1] * 20))
    assert reader._encoder.seen == 40


def test_a_sample_is_balanced_and_leaves_out_the_rarest() -> None:
    chosen = balanced(np.array([0] * 100 + [1] * 12 + [2] * 4 + [-1] * 9), 4)
    assert sorted(chosen) == [0, 1]
    assert chosen[1] == list(range(100, 112))
    assert len(chosen[0]) == 12
    assert (chosen[0][0], chosen[0][-1]) == (0, 99)
    assert balanced(np.zeros(3, np.int64), 1) == {}


def test_nothing_is_said_of_hidden_columns() -> None:
    assert without("red × day", [1]) == "red × all"
    assert without("red × day", [0, 1]) == "all"
    assert without("day", [0]) == "all"
    assert without("missing × day", [1]) == "missing × all"
