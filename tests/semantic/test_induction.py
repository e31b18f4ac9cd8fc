"""Attribute tables induced from images: sums, noise, and the bundled CLIP against the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import roc_auc_score

import fairfed
from semantic.attributes import load_attributes, write_table
from semantic.encoder import load_encoder
from semantic.errors import InputError
from semantic.induction import AttributeSums, induce, measured_sums
from semantic.measures import measured_words
from semantic.privacy import Guarantee, gaussian_sigma

VOCABULARY = ("footwear", "tall", "long sleeves", "handle", "dark")


def _sums(counts: list[float], sums: list[list[float]]) -> AttributeSums:
    return AttributeSums(("cat", "dog"), ("furry", "big"), np.array(counts), np.array(sums))


def _images() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The first 240 bundled images that no bundled model was trained on, in colour."""
    with np.load(Path(fairfed.__file__).parent / "bundled" / "fashion_mnist.npz") as data:
        images, labels = data["images"][data["test"]][:240], data["labels"][data["test"]][:240]
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    return np.repeat(padded[..., None], 3, axis=3), labels.astype(np.int64)


def test_table_holds_the_means_and_says_who_is_left_out() -> None:
    sums = _sums([4, 1], [[1, 4], [1, 0]])
    table = sums.table(minimum_count=2)
    assert table.classes == ("cat",)
    assert table.values.tolist() == [[0.25, 1]]
    assert sums.left_out(2) == {"dog": 1}
    assert sums.left_out(1) == {}
    with pytest.raises(InputError, match="no class has 5 images .the largest count is 4"):
        sums.table(5)
    with pytest.raises(InputError, match="must be above 0"):
        sums.table(0)


def test_sums_merge_in_any_order_and_refuse_another_vocabulary() -> None:
    one, two = _sums([1, 2], [[1, 0], [2, 1]]), _sums([3, 0], [[2, 3], [0, 0]])
    for merged in (one + two, two + one):
        assert merged.counts.tolist() == [4, 2]
        assert merged.sums.tolist() == [[3, 3], [2, 1]]
        assert merged.guarantee is None
    with pytest.raises(InputError, match="over different attributes"):
        _ = one + AttributeSums(one.classes, ("furry", "old"), one.counts, one.sums)
    with pytest.raises(InputError, match="over different classes"):
        _ = one + AttributeSums(("cat", "cow"), one.attributes, one.counts, one.sums)


def test_noise_has_the_stated_size_and_no_bias() -> None:
    attributes = tuple(f"attribute {i}" for i in range(12))
    classes = tuple(f"class {i}" for i in range(2000))
    counts = np.full(2000, 50.0)
    sums = AttributeSums(classes, attributes, counts, np.full((2000, 12), 40.0))
    released = sums.noised(1.0, 1e-5, np.random.default_rng(0))
    sigma = gaussian_sigma(1.0, 1e-5, np.sqrt(1 + 12 / 4))
    assert released.variance == pytest.approx(sigma**2)
    assert released.guarantee == Guarantee(1.0, 1e-5)
    error = released.counts - counts
    assert error.std() == pytest.approx(sigma, rel=0.05)
    assert abs(error.mean()) < 4 * sigma / np.sqrt(2000)
    # Centring is undone with the noised count: what is left is the noise of the centred sum.
    centred = released.sums - released.counts[:, None] / 2 - (40 - 50 / 2)
    assert centred.std() == pytest.approx(sigma, rel=0.02)
    assert abs(centred.mean()) < 4 * sigma / np.sqrt(24000)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_one_image_changes_the_noised_numbers_by_at_most_the_sensitivity(value: float) -> None:
    values = np.full((1, 8), value)
    change = np.concatenate([[1.0], (values - 0.5).ravel()])
    assert np.linalg.norm(change) <= np.sqrt(1 + 8 / 4) + 1e-12
    # The same noise on neighbouring sums shows that exactly these numbers were noised.
    names = tuple(f"attribute {i}" for i in range(8))
    without = AttributeSums(("cat",), names, np.array([5.0]), np.full((1, 8), 2.0))
    added = AttributeSums(("cat",), names, np.array([6.0]), 2.0 + values)
    one, two = (s.noised(1.0, 1e-5, np.random.default_rng(3)) for s in (without, added))
    moved = (two.sums - two.counts[:, None] / 2) - (one.sums - one.counts[:, None] / 2)
    assert np.allclose(moved, change[1:])


def test_releases_of_clients_keep_the_larger_guarantee_and_their_noise_adds() -> None:
    sums = _sums([50, 60], [[10, 20], [30, 40]])
    one = sums.noised(1.0, 1e-5, np.random.default_rng(0))
    two = sums.noised(2.0, 1e-6, np.random.default_rng(1))
    merged = one + two
    assert merged.guarantee == Guarantee(2.0, 1e-5)
    assert merged.variance == pytest.approx(one.variance + two.variance)
    assert (merged + sums).guarantee is None


def test_measured_words_are_counted() -> None:
    found = measured_sums(np.array([0, 0, 1]), [("tall",), ("tall", "dark"), ()], ("a", "b", "c"))
    assert found.counts.tolist() == [2, 1, 0]
    assert found.sums[0, found.attributes.index("tall")] == 2
    assert found.sums[1].sum() == 0
    assert set(found.frequencies()) == {"a", "b"}
    assert measured_sums(np.zeros(0, np.int64), [], ("a",)).frequencies() == {}


def test_bundled_clip_induces_values_that_agree_with_the_bundled_table(tmp_path: Path) -> None:
    images, labels = _images()
    known = load_attributes()
    encoder = load_encoder()
    pooled = induce(encoder, images, labels, known.classes, VOCABULARY)
    table = pooled.table(minimum_count=5)
    assert table.classes == known.classes
    for attribute in ("footwear", "long sleeves", "handle"):
        found = table.values[:, table.attributes.index(attribute)]
        truth = known.values[:, known.attributes.index(attribute)] >= 0.5
        assert roc_auc_score(truth, found) > 0.9, attribute

    words = measured_words(images[labels == 0])
    assert table.values[0, 1] == pytest.approx(np.mean(["tall" in w for w in words]))
    assert table.values[0, 4] == pytest.approx(np.mean(["dark" in w for w in words]))

    halves = [
        induce(encoder, images[part], labels[part], known.classes, VOCABULARY)
        for part in (slice(0, 90), slice(90, None))
    ]
    merged = halves[1] + halves[0]
    assert np.array_equal(merged.counts, pooled.counts)
    assert np.allclose(merged.table().values, pooled.table().values, rtol=0, atol=1e-9)

    write_table(table, tmp_path / "induced.csv")
    assert np.array_equal(load_attributes(tmp_path / "induced.csv").values, table.values)


@pytest.mark.parametrize(
    ("attributes", "templates", "said"),
    [
        ((), ("a {attribute}",), "must name phrases once each"),
        (("dark", "dark"), ("a {attribute}",), "must name phrases once each"),
        (("footwear",), ("a photo",), "lacks the field {attribute}"),
    ],
)
def test_wrong_vocabulary_or_template(
    attributes: tuple[str, ...], templates: tuple[str, ...], said: str
) -> None:
    nothing = np.zeros((0, 32, 32, 3), np.uint8), np.zeros(0, np.int64)
    with pytest.raises(InputError, match=said):
        induce(load_encoder(), *nothing, ("cat",), attributes, templates)


def test_client_without_images_adds_nothing() -> None:
    images, labels = np.zeros((0, 32, 32, 3), np.uint8), np.zeros(0, np.int64)
    found = induce(load_encoder(), images, labels, ("cat",), VOCABULARY)
    assert found.counts.tolist() == [0]
    assert not found.sums.any()
