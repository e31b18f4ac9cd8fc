"""All checks of a cell together: order, calibration on real images, what is recorded."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from generators.curation import CHECKS, Curation, Judge, Pool, References
from generators.curation.limits import CLASSES_ONLY, NO_ATTRIBUTE, NO_REAL
from generators.store import Entry
from semantic.attributes import AttributeTable
from semantic.space import SemanticSpace

TABLE = AttributeTable(("cat", "dog"), ("cat", "dog"), ("whiskers",), np.array([[1.0], [0.0]]))
SPACE = SemanticSpace(("cat", "dog"), ("red", "blue"), TABLE)
NEUTRAL, WHISKERS = np.array([0, 0, 1], np.float32), np.array([0.6, 0, 0.8], np.float32)


NEW = 90
"""A blue value apart from all real images', and still of the first group."""


class PlaneScorer:
    """Embeds an image by its first pixel.

    Cats lie along red, dogs along green; blue below or above 127 tells the group.
    """

    space = SPACE
    encoder = SimpleNamespace(
        scale=10.0,
        embed_texts=lambda texts: SimpleNamespace(
            numpy=lambda: np.stack([WHISKERS if "whiskers" in text else NEUTRAL for text in texts])
        ),
    )

    def embed(self, images: np.ndarray) -> np.ndarray:
        red, green, blue = np.moveaxis(images[:, 0, 0].astype(np.float32), 1, 0)
        found = np.stack([red, green, 0.2 * (blue - 127)], 1)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    def scores_of(self, embeddings: np.ndarray) -> np.ndarray:
        cat, dog, group = embeddings.T
        logits = np.stack([cat, dog], 1)[:, :, None] + np.stack([-group, group], 1)[:, None]
        logits = 10 * logits
        flat = logits.reshape(len(logits), 4)
        return (flat - np.logaddexp.reduce(flat, 1, keepdims=True)).reshape(logits.shape)


SCORER: Any = PlaneScorer()


def _image(red: int, green: int, blue: int = NEW) -> np.ndarray:
    image = np.zeros((4, 4, 3), np.uint8)
    image[::2] = 200
    image[0, 0] = red, green, blue
    return image


def _real(n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cats of both groups, a little apart from each other."""
    groups = np.arange(n) % 2
    images = np.stack([_image(200, 2 * i, 255 * g) for i, g in enumerate(groups)])
    images[:, 3] = np.arange(n)[:, None, None] * 5
    return images, np.zeros(n, np.int64), groups


def _entry(key: str, image: np.ndarray, margin: float = 5.0, fault: str = "") -> Entry:
    return Entry(key, "cat", "red", "p", 1, "g", "s", 0.9, margin, float(image.std()), "h",
                 fault=fault)  # fmt: skip


def _reasons(judge: Judge, images: list[np.ndarray], **entry: Any) -> list[str | None]:
    found = [(_entry(str(i), image, **entry), image) for i, image in enumerate(images)]
    return [judge.verdict(candidate) for candidate in judge.measure(found)]


def test_the_first_reason_counts_in_the_documented_order() -> None:
    judge = Judge(Curation(checks=CHECKS), SCORER, References.of(SCORER, *_real()), (0, 0))
    black = np.zeros((4, 4, 3), np.uint8)
    assert CHECKS == (
        "corrupt", "black", "blank", "margin", "attributes", "duplicate", "memorised",
    )  # fmt: skip
    assert _reasons(judge, [black], margin=-9.0, fault="not finite") == ["corrupt"]
    assert _reasons(judge, [black], margin=-9.0) == ["black"]
    assert _reasons(judge, [black + 99], margin=-9.0) == ["blank"]
    assert _reasons(judge, [_image(200, 180)], margin=-9.0) == ["margin"]
    assert _reasons(judge, [_image(40, 200)]) == ["attributes"]
    assert _reasons(judge, [_image(200, 41), _image(200, 41)]) == [None, "duplicate"]


def test_copy_of_a_real_image_is_memorised_and_a_new_one_is_not() -> None:
    images, labels, groups = _real()
    references = References.of(SCORER, images, labels, groups)
    judge = Judge(Curation(checks=("memorised",)), SCORER, references, (0, 0))
    limit = judge.limits.thresholds["memorised"]
    assert (limit.n, limit.basis) == (20, "cell")
    assert _reasons(judge, [images[4], _image(200, 41)]) == ["memorised", None]


def test_images_that_are_there_twice_do_not_make_copies_acceptable() -> None:
    images, labels, groups = (np.concatenate([part, part[:8]]) for part in _real())
    references = References.of(SCORER, images, labels, groups)
    assert np.isnan(references.distances).sum() == 16
    judge = Judge(Curation(checks=("memorised",)), SCORER, references, (0, 0))
    assert judge.limits.thresholds["memorised"].value > 0
    assert _reasons(judge, [images[0]]) == ["memorised"]


def test_margin_asks_no_more_than_real_images_show_and_no_more_than_configured() -> None:
    references = References.of(SCORER, *_real())
    seen = np.quantile(references.margins[references.groups == 0], 0.05)
    lenient = Judge(Curation(margin=seen + 1), SCORER, references, (0, 0)).limits
    assert lenient.thresholds["margin"].value == pytest.approx(seen)
    assert lenient.thresholds["margin"].basis == "cell"
    capped = Judge(Curation(margin=seen - 1), SCORER, references, (0, 0)).limits
    assert capped.thresholds["margin"].value == pytest.approx(seen - 1)
    lacking = Judge(Curation(margin=0.5), SCORER, references, (1, 0)).limits
    assert lacking.thresholds["margin"].to_json() == {"value": 0.5, "n": 0, "basis": "configured"}


def test_where_clip_cannot_see_the_group_the_margin_compares_classes_and_says_so() -> None:
    images, labels, groups = _real()
    blind = References.of(SCORER, images, labels, np.arange(40) // 2 % 2)
    assert not blind.sees_groups.visible
    judge = Judge(Curation(margin=0.0), SCORER, blind, (0, 0))
    assert judge.limits.notes == {"margin": CLASSES_ONLY}
    assert _reasons(judge, [_image(200, 0, 255)], margin=-9.0) == [None]  # blue, but a cat
    assert _reasons(judge, [_image(0, 200)], margin=9.0) == ["margin"]
    sighted = Judge(Curation(margin=0.0), SCORER, References.of(SCORER, images, labels, groups),
                    (0, 0))  # fmt: skip
    assert sighted.limits.notes == {}
    assert _reasons(sighted, [_image(200, 0, 255)], margin=-9.0) == ["margin"]


def test_checks_without_real_images_are_not_applied_and_say_so() -> None:
    judge = Judge(Curation(checks=CHECKS), SCORER, None, (0, 0))
    assert judge.limits.notes == {"attributes": NO_REAL, "memorised": NO_REAL}
    assert judge.limits.thresholds["duplicate"].basis == "configured"
    assert _reasons(judge, [_image(200, 0), _image(200, 0), _image(0, 200)]) == [
        None, "duplicate", None,
    ]  # fmt: skip
    few = References.of(SCORER, *(part[:3] for part in _real()))
    assert Judge(Curation(checks=CHECKS), SCORER, few, (0, 0)).limits.notes == judge.limits.notes
    none = References.of(SCORER, *(part[:0] for part in _real()))
    assert not none.sees_groups.tested


def test_class_without_attribute_is_not_asked_for_any() -> None:
    references = References.of(SCORER, *_real())
    judge = Judge(Curation(checks=("attributes",)), SCORER, references, (1, 0))
    assert judge.limits.notes == {"attributes": NO_ATTRIBUTE}
    assert _reasons(judge, [_image(40, 200)]) == [None]


def test_cell_without_real_images_learns_from_its_class_and_then_from_all() -> None:
    images, labels, groups = _real()
    references = References.of(SCORER, images, labels, groups * 0)
    limits = Judge(Curation(checks=CHECKS), SCORER, references, (0, 1)).limits
    assert {limits.thresholds[name].basis for name in ("attributes", "memorised")} == {"class"}
    other = Judge(Curation(checks=CHECKS), SCORER, references, (1, 1)).limits
    assert other.thresholds["memorised"].basis == "all"


def test_held_out_images_show_the_chance_level_and_diversity_is_relative_to_real() -> None:
    images, labels, groups = _real()
    held = (images[:6].copy(), labels[:6], groups[:6])
    held[0][2:, 0, 0, 2] = NEW  # all but the first two differ from every training image
    references = References.of(SCORER, images, labels, groups, held_out=held)
    judge = Judge(Curation(checks=("memorised",), closeness=0.4), SCORER, references, (0, 0))
    assert judge.held_out_rate() == (1, 3)
    assert judge.diversity() is None
    for index in range(0, 40, 2):
        judge.accepted.add(images[index], references.embeddings[index])
    assert judge.diversity() == pytest.approx(1.0)


def test_pool_stops_at_its_size_and_its_summary_tells_no_single_image() -> None:
    references = References.of(SCORER, *_real())
    judge = Judge(Curation(checks=CHECKS), SCORER, references, (0, 0))
    images = [_image(200, 41), _image(200, 41), _image(200, 11), _image(200, 21)]
    pool = Pool(requested=2)
    pool.judge(judge, [(_entry(str(i), image), image) for i, image in enumerate(images)])
    pool.close(judge)
    assert pool.verdicts == [("0", None), ("1", "duplicate"), ("2", None)]
    assert pool.embeddings is not None
    assert pool.embeddings.shape == (2, 3)
    summary = pool.summary()
    assert summary["rejected"] == {"duplicate": 1}
    assert (summary["judged"], summary["short"]) == (3, 0)
    leaves = [value for value in summary.values() if not isinstance(value, dict)]
    assert all(value is None or isinstance(value, int | float) for value in leaves)
    assert set(dataclasses.asdict(pool)) >= {"thresholds", "notes", "verdicts"}
