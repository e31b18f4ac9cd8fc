"""The bias audit, on a generator whose bias is known and a scorer that is easy to foresee."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
import pytest
from scipy.stats import chi2

from generators.audit import (
    ALL_CLASSES,
    GeneratorAudit,
    audit_generator,
    score_intervals,
    target_shares,
)
from generators.group_reading import GroupReading, group_reading, read_groups, true_shares
from generators.requests import Image, Request
from semantic.attributes import load_attributes, table_from_names
from semantic.encoder import load_encoder
from semantic.errors import InputError
from semantic.space import CellScorer, SemanticSpace
from semantic.tint import TINTS, tint_images

GROUPS = ("red", "missing", "blue")
SPACE = SemanticSpace(("cat", "dog"), GROUPS, table_from_names(("cat", "dog")))


class BiasedGenerator:
    """Shows red cats with probability 0.8, red dogs with 0.5; the first pixel is the group."""

    fingerprint = "biased"

    def __init__(self, batch_size: int = 8) -> None:
        self.batch_size = batch_size
        self.asked: list[Request] = []

    def generate(self, requests: Sequence[Request]) -> Image:
        self.asked += requests
        images = np.zeros((len(requests), 4, 4, 3), np.uint8)
        for image, request in zip(images, requests, strict=True):
            share = 0.8 if request.cell.class_name == "cat" else 0.5
            image[0, 0, 0] = 0 if np.random.default_rng(request.seed).random() < share else 2
            image[0, 0, 1] = request.cell.class_name == "dog"
        return images

    def autoencode(self, images: Image) -> Image:
        return images


class FakeScorer:
    """Reads class and group from the first pixel, and finds `missing` likelier still."""

    space = SPACE
    fingerprint = "scorer"

    def scores(self, images: Image) -> np.ndarray:
        scores = np.full((len(images), 2, 3), np.log(0.01), np.float32)
        rows = np.arange(len(images))
        scores[rows, images[:, 0, 0, 1], images[:, 0, 0, 0]] = np.log(0.4)
        scores[rows, images[:, 0, 0, 1], 1] = np.log(0.5)
        return scores


def _audit(n: int = 400, generator: BiasedGenerator | None = None, **further) -> GeneratorAudit:  # type: ignore[no-untyped-def]  # noqa: ANN003
    return audit_generator(generator or BiasedGenerator(), FakeScorer(), n, 3, **further)  # type: ignore[arg-type]


def _reading(confusion: tuple[tuple[int, ...], ...]) -> GroupReading:
    return GroupReading(confusion, int(np.sum(confusion)), 0.9, (0.8, 1.0), 0.5, 1e-9)


def test_finds_the_bias_that_is_there_and_none_that_is_not() -> None:
    audit = _audit()
    cat, dog = audit.classes
    assert audit.groups == ("red", "blue")
    assert cat.intervals[0][0] < 0.8 < cat.intervals[0][1]
    assert cat.distance == pytest.approx(cat.shares[0] - 0.5)
    assert cat.distance > cat.chance
    assert dog.distance < dog.chance < 0.1
    assert audit.biased == ("cat",)
    assert (cat.recognised, cat.n, sum(cat.counts)) == (1.0, 400, 400)
    assert audit.overall.class_name == ALL_CLASSES
    assert audit.overall.counts[0] == cat.counts[0] + dog.counts[0]


def test_prompts_are_neutral_and_seeds_differ() -> None:
    generator = BiasedGenerator()
    _audit(5, generator)
    assert {r.prompt for r in generator.asked} == {"a photo of a cat", "a photo of a dog"}
    assert len({r.seed for r in generator.asked}) == 10


def test_batch_size_changes_nothing() -> None:
    assert _audit(30) == _audit(30, BiasedGenerator(7))


def test_a_target_that_the_generator_meets_is_no_bias() -> None:
    assert _audit(target=[[80, 5, 20], [10, 0, 10]]).biased == ()
    assert _audit(target=[1, 0, 1]).biased == ("cat",)
    never_blue = _audit(target=[[1, 0, 0], [1, 0, 1]])
    assert never_blue.classes[0].p_value == 0
    assert never_blue.classes[0].distance == pytest.approx(never_blue.classes[0].shares[1])


def test_chance_is_what_images_drawn_from_the_target_exceed_in_one_of_twenty() -> None:
    rng = np.random.default_rng(0)
    distances = np.abs(rng.binomial(50, 0.5, 20_000) / 50 - 0.5)
    chance = _audit(50).classes[1].chance
    assert np.mean(distances > chance + 1e-9) <= 0.06
    assert np.mean(distances >= chance - 1e-9) >= 0.05


def test_simultaneous_intervals_are_goodmans() -> None:
    """By the closed formula of his paper."""
    counts = np.array([56, 72, 73, 59, 62, 87, 58])
    n, b = counts.sum(), chi2.ppf(1 - 0.05 / 7, 1)
    half = np.sqrt(b * (b + 4 * counts * (n - counts) / n))
    expected = np.stack([b + 2 * counts - half, b + 2 * counts + half], 1) / (2 * (n + b))
    found = np.array(score_intervals(counts, 1 - 0.05 / 7))
    assert found == pytest.approx(expected)
    row = _audit(60).classes[0]
    assert row.simultaneous[0][0] < row.intervals[0][0] < row.intervals[0][1]


def test_group_is_read_given_the_class_and_never_as_unnamed() -> None:
    scores = np.log([[[0.05, 0.4, 0.1], [0.3, 0.1, 0.05]]]).astype(np.float32)
    assert read_groups(SPACE, scores, np.array([0])).tolist() == [1]
    assert read_groups(SPACE, scores, np.array([1])).tolist() == [0]


def test_reading_of_real_images_is_counted_and_held_against_chance() -> None:
    images = np.zeros((6, 4, 4, 3), np.uint8)
    images[:, 0, 0, 0] = [0, 0, 2, 2, 0, 2]  # read
    groups = np.array([0, 0, 2, 2, 2, 1])  # true; one of no readable group
    found = group_reading(FakeScorer(), images, np.zeros(6, np.int64), groups)  # type: ignore[arg-type]
    assert found.confusion == ((2, 0), (1, 2))
    assert (found.n, found.accuracy) == (5, 0.8)
    assert found.by_chance == pytest.approx((2 * 3 + 3 * 2) / 25)
    assert 0.1 < found.p_value < 0.5
    rates = found.rates()
    assert rates is not None
    assert rates.tolist() == [[1, 0], [pytest.approx(1 / 3), pytest.approx(2 / 3)]]
    only_red = group_reading(FakeScorer(), images[:2], groups[:2], groups[:2])  # type: ignore[arg-type]
    assert only_red.rates() is None
    with pytest.raises(InputError, match="no real image belongs"):
        group_reading(FakeScorer(), images[5:], groups[:1], groups[5:])  # type: ignore[arg-type]


def test_confusion_is_corrected_within_shares() -> None:
    rates = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.0, 0.3, 0.7]])
    truth = np.array([0.5, 0.2, 0.3])
    assert true_shares(truth @ rates, rates) == pytest.approx(truth, abs=1e-6)
    beyond = true_shares(np.array([1.0, 0.0]), np.array([[0.8, 0.2], [0.2, 0.8]]))
    assert beyond == pytest.approx([1, 0], abs=1e-3)
    audit = _audit(reading=_reading(((80, 20), (0, 100))))
    row = audit.classes[0]
    assert row.corrected is not None
    assert row.corrected[0] == pytest.approx(min(1, row.shares[0] / 0.8), abs=1e-3)
    assert _audit(20, reading=_reading(((80, 20), (0, 0)))).classes[0].corrected is None


def test_bundled_clip_reads_tints_of_real_images() -> None:
    with np.load(str(files("fairfed") / "bundled" / "fashion_mnist.npz")) as bundled:
        rows = np.flatnonzero(bundled["test"])[::20]
        images, labels = bundled["images"][rows], bundled["labels"][rows].astype(np.int64)
    tints = np.arange(len(rows)) % len(TINTS)
    shaded = tint_images(np.pad(images, ((0, 0), (2, 2), (2, 2))), tints)
    table = load_attributes()
    scorer = CellScorer(load_encoder(), SemanticSpace(table.classes, (*TINTS, "all"), table))
    found = group_reading(scorer, shaded, labels, tints)
    assert found.interval[0] > 0.9 > found.by_chance
    assert found.p_value < 1e-9


def test_json_and_table_say_the_same() -> None:
    audit = _audit(50, reading=_reading(((9, 1), (1, 9))))
    record = json.loads(json.dumps(audit.to_json()))
    assert record["biased"] == list(audit.biased)
    assert record["classes"][0]["counts"] == list(audit.classes[0].counts)
    assert record["reading"]["confusion"] == [[9, 1], [1, 9]]
    rows = audit.rows()
    assert [row["class"] for row in rows] == ["cat", "dog", ALL_CLASSES]
    assert rows[0]["red"].startswith(f"{audit.classes[0].shares[0]:.0%} [")
    assert rows[2]["n"] == "100"


def test_target_of_a_class_without_data_is_that_of_all_classes() -> None:
    found = target_shares([[3, 9, 1], [0, 4, 0]], (2, 3), [0, 2])
    assert found.tolist() == [[0.75, 0.25], [0.75, 0.25]]


@pytest.mark.parametrize("target", [[1, 1], [[1, 1, 1]], [-1, 0, 2], [np.nan, 1, 1], [0, 1, 0]])
def test_impossible_targets_are_refused(target: list[float]) -> None:
    with pytest.raises(InputError, match="the audit's target"):
        _audit(5, target=target)


def test_what_cannot_be_audited_is_refused() -> None:
    with pytest.raises(InputError, match="1 image a class at least"):
        _audit(0)
    with pytest.raises(InputError, match="level between 0 and 1"):
        _audit(5, level=1.0)
    space = SemanticSpace(("cat",), ("red", "missing × old"), table_from_names(("cat",)))
    with pytest.raises(InputError, match="fewer than two"):
        read_groups(space, np.zeros((1, 1, 2), np.float32), np.array([0]))
