"""Whether a generator knows a class: what is read in a few images, and what follows from it."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fairfed.sites.trial import (
    WORDS,
    Known,
    Trial,
    Trials,
    some_of_each,
    tried_cells,
    try_generator,
)
from semantic.attributes import table_from_names
from semantic.errors import InputError
from semantic.sight import KNOWS, NOT, PARTLY, UNTRIED
from semantic.space import SemanticSpace

CLASSES = tuple("abcdefghij")


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
    assert Trial("a", n, read, recognised, 0.1).verdict == verdict


def test_of_two_classes_chance_is_half() -> None:
    assert Trial("a", 16, 11, None, 0.5).verdict == NOT
    assert Trial("a", 16, 13, None, 0.5).verdict == KNOWS


def test_what_is_unknown_is_refused_by_name_with_what_was_seen() -> None:
    column = Trial("sex", 20, 9, None, 0.5)
    Trials((Trial("a", 16, 16, None, 0.1), Trial("b", 16, 6, None, 0.1))).refuse_unknown()
    classes = Trial("a", 16, 0, 3, 0.1), Trial("b", 9, 9, 9, 0.1), Trial("c", 16, 1, None, 0.1)
    with pytest.raises(InputError) as error:
        Trials(classes, (column,)).refuse_unknown()
    said = str(error.value)
    assert "does not know a, c: of 16 images asked for as a, CLIP takes 0 for it, and a" in said
    for way in ("generator.model", "train-generator", "start_from_real", "inversion",
                "allow_unknown"):  # fmt: skip
        assert way in said
    with pytest.raises(InputError, match=r"does not show sex: of 20 .*CLIP takes 9.*leave sex out"):
        Trials(classes[1:2], (column,)).refuse_unknown()


class Maker:
    """Draws class `a` as it is, and every other as if it were `b`, and no group but `light`.

    The first pixel tells which class an image shows, the second which group.
    """

    space = SemanticSpace(CLASSES, ("light", "dark"), table_from_names(CLASSES))
    announced: tuple[int, str]
    asked: list[tuple[int, int, int, str]]

    def __init__(self) -> None:
        self.asked = []
        self.scorer = SimpleNamespace(embed=self.embed, scores_of=self._scores)

    def announce(self, counts: Any, owner: str) -> None:
        self.announced = int(counts.sum()), owner

    def first(self, label: int, group: int, n: int, owner: str) -> tuple[list[Any], int]:
        self.asked.append((label, group, n, owner))
        image = np.zeros((2, 2, 3), np.uint8)
        image[0, 0, 0] = min(label, 1)
        return [image] * n, n - 1

    @staticmethod
    def embed(images: Any) -> Any:
        return np.eye(20, dtype=np.float32)[2 * images[:, 0, 0, 0] + images[:, 0, 1, 0]]

    @staticmethod
    def _scores(embeddings: Any) -> Any:
        return np.log(embeddings + 1e-6).reshape(-1, 10, 2)

    @staticmethod
    def autoencode(images: Any) -> Any:
        return images + np.uint8(3)


def _real(labels: list[int]) -> Known:
    images = np.zeros((len(labels), 2, 2, 3), np.uint8)
    images[:, 0, 0, 0] = labels
    return Known(images, Maker.embed(images), np.array(labels, np.int64))


def test_a_few_images_of_each_wanted_class_are_read_twice() -> None:
    maker, wanted = Maker(), np.zeros((10, 2), np.int64)
    wanted[[0, 1, 4]] = [[30, 30], [8, 0], [2, 30]]
    real = _real([0] * 12 + [4] * 12)
    found = try_generator(maker, wanted, 8, real, ("shade",), "client 3")  # type: ignore[arg-type]
    cells = [(0, 0, 4), (0, 1, 4), (1, 0, 8), (4, 0, 2), (4, 1, 6)]
    assert maker.asked == [(*cell, "client 3") for cell in cells]
    assert maker.announced == (24, "client 3")
    assert found.made == 24 - 5
    assert [(t.name, t.n, t.read) for t in found.classes] == [("a", 8, 8), ("b", 8, 8), ("e", 8, 0)]
    assert [t.recognised for t in found.classes] == [8, None, found.classes[2].recognised]
    assert [t.verdict for t in found.classes] == [KNOWS, KNOWS, NOT]
    # Of half of the images nothing but light was asked for, and all show it.
    assert found.columns == (Trial("shade", 24, 14, None, 0.5),)
    assert found.kid is not None
    assert found.kid.reason == "16 real images, needs 20; 16 synthetic images, needs 20"
    assert found.rendering == 3
    assert list(found.lines()) == [
        "its autoencoder knows your real images: it errs by 3.0 of 255 on average"
    ]
    json.dumps(found.to_json())
    assert not try_generator(maker, wanted, 0, real)  # type: ignore[arg-type]
    assert len(maker.asked) == 5


def test_a_column_of_which_nothing_is_said_is_not_tried() -> None:
    maker, wanted = Maker(), np.full((10, 2), 5)
    maker.space = replace(maker.space, spoken={"light": "all", "dark": "all"})
    found = try_generator(maker, wanted, 8, _real([]), ("shade",))  # type: ignore[arg-type]
    assert (found.columns, found.kid, found.rendering) == ((), None, None)
    assert {t.recognised for t in found.classes} == {None}


def test_no_cell_is_tried_beyond_what_is_wanted() -> None:
    wanted = np.array([[1, 0, 9], [0, 0, 0], [3, 3, 3]])
    assert tried_cells(wanted, 8).tolist() == [[1, 0, 7], [0, 0, 0], [3, 3, 2]]
    assert tried_cells(wanted, 99).tolist() == wanted.tolist()


def test_the_classifier_learns_from_the_same_few_images_of_each_class() -> None:
    labels = np.repeat([3, 5], [400, 7])
    chosen = some_of_each(labels)
    assert np.bincount(labels[chosen])[[3, 5]].tolist() == [50, 7]
    assert np.array_equal(chosen, some_of_each(labels))
    assert some_of_each(labels[:0]).tolist() == []


def test_verdicts_are_told_as_numbers_by_name() -> None:
    known, tried = Trial("b", 16, 16, None, 0.1), Trial("shade", 16, 9, None, 0.5)
    found = Trials((known, Trial("c", 4, 4, None, 0.1)), (tried,))
    assert [WORDS[code] for code in found.codes(("a", "b", "c", "shade"))] == [
        UNTRIED, KNOWS, UNTRIED, NOT
    ]  # fmt: skip
