"""Whether a generator knows a class: what is read in a few images, and what follows from it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fairfed.sites.trial import ClassTrial, refuse_unknown, some_of_each, try_classes
from semantic.attributes import table_from_names
from semantic.errors import InputError
from semantic.sight import KNOWS, NOT, PARTLY
from semantic.space import SemanticSpace

CLASSES = tuple("abcdefghij")
SPACE = SemanticSpace(CLASSES, ("all",), table_from_names(CLASSES))


@pytest.mark.parametrize(
    ("n", "read", "recognised", "verdict"),
    [
        (16, 16, None, KNOWS),
        (16, 8, 8, KNOWS),
        (16, 6, None, PARTLY),
        (16, 16, 5, PARTLY),
        (16, 2, None, NOT),
        (16, 16, 1, NOT),
        (16, 0, 0, NOT),
    ],
)
def test_the_stricter_reader_decides(
    n: int, read: int, recognised: int | None, verdict: str
) -> None:
    assert ClassTrial("a", n, read, recognised, 0.1).verdict == verdict


def test_of_two_classes_chance_is_half() -> None:
    assert ClassTrial("a", 16, 11, None, 0.5).verdict == NOT
    assert ClassTrial("a", 16, 13, None, 0.5).verdict == KNOWS


def test_unknown_classes_are_refused_by_name_with_what_was_seen() -> None:
    refuse_unknown([ClassTrial("a", 16, 16, None, 0.1), ClassTrial("b", 16, 6, None, 0.1)])
    with pytest.raises(InputError) as error:
        refuse_unknown([ClassTrial("a", 16, 0, 3, 0.1), ClassTrial("c", 16, 1, None, 0.1)])
    said = str(error.value)
    assert "does not know a, c: of 16 images asked for as a, CLIP takes 0 for it, and a" in said
    for way in ("generator.model", "train-generator", "start_from_real", "inversion",
                "allow_unknown"):  # fmt: skip
        assert way in said


class Maker:
    """Draws class `a` as it is, and every other as if it were `b`; a pixel tells which."""

    space = SPACE
    asked: list[tuple[int, int, int, str]]

    def __init__(self) -> None:
        self.asked = []
        self.scorer = SimpleNamespace(embed=self._embed, scores_of=self._scores)

    def first(self, label: int, group: int, n: int, owner: str) -> list[Any]:
        self.asked.append((label, group, n, owner))
        return [np.full((2, 2, 3), min(label, 1), np.uint8)] * n

    @staticmethod
    def _embed(images: Any) -> Any:
        return np.eye(10, dtype=np.float32)[images[:, 0, 0, 0]]

    @staticmethod
    def _scores(embeddings: Any) -> Any:
        return np.log(embeddings + 1e-6)[:, :, None]


def test_a_few_images_of_each_wanted_class_are_read_twice() -> None:
    maker, wanted = Maker(), np.zeros((10, 1), np.int64)
    wanted[[0, 1, 4], 0] = 30, 8, 30
    rows = np.repeat([0, 4], 12)
    real = np.eye(10, dtype=np.float32)[rows], rows
    found = try_classes(maker, wanted, 8, real, "client 3")  # type: ignore[arg-type]
    assert maker.asked == [(label, 0, 8, "client 3") for label in (0, 1, 4)]
    assert [(t.class_name, t.read) for t in found] == [("a", 8), ("b", 8), ("e", 0)]
    assert [t.recognised for t in found] == [8, None, found[2].recognised]
    assert [t.verdict for t in found] == [KNOWS, KNOWS, NOT]
    assert try_classes(maker, wanted, 0, real) == []  # type: ignore[arg-type]
    assert len(maker.asked) == 3


def test_the_classifier_learns_from_the_same_few_images_of_each_class() -> None:
    labels = np.repeat([3, 5], [400, 7])
    chosen = some_of_each(labels)
    assert np.bincount(labels[chosen])[[3, 5]].tolist() == [50, 7]
    assert np.array_equal(chosen, some_of_each(labels))
    assert some_of_each(labels[:0]).tolist() == []
