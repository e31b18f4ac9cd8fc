"""Heads from sums are those that the rows themselves would give."""

from __future__ import annotations

import numpy as np
import pytest

from fairfed.systems.heads.solve import NEVER, estimated_gram, solve, with_prior
from fairfed.systems.heads.sums import Classes, Sums, by_class, cell_weights, summed
from fairfed.systems.heads.variants import Method

CENTRES = np.array([[2.0, 0, 0, 1], [0, 2, 0, 1], [0, 0, 2, 1]])


def _rows(n: int = 300, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    spread = rng.normal(size=(n, 4)) @ np.diag([1.0, 0.5, 0.7, 0.1])
    return CENTRES[labels] + spread, labels


def _sums(features: np.ndarray, labels: np.ndarray) -> Sums:
    return summed(features, labels, np.zeros_like(labels), (3, 1), "pooled")


def _classes(features: np.ndarray, labels: np.ndarray) -> Classes:
    return by_class(_sums(features, labels), np.ones((3, 1)))


def test_ridge_is_least_squares_of_one_hot_labels() -> None:
    features, labels = _rows()
    head = solve("ridge", _classes(features, labels), 1e-12)
    design = np.hstack([features, np.ones((len(features), 1))])
    expected = np.linalg.lstsq(design, np.eye(3)[labels], rcond=None)[0]
    np.testing.assert_allclose(np.vstack([head.weight.T, head.bias]), expected, atol=1e-8)


def test_a_strength_is_relative_to_the_variance_and_leaves_the_intercept_alone() -> None:
    features, labels = _rows()
    strong = solve("ridge", _classes(features, labels), 1e9)
    np.testing.assert_allclose(strong.weight, 0, atol=1e-6)
    np.testing.assert_allclose(strong.bias, np.bincount(labels) / len(labels), atol=1e-6)
    plain = solve("ridge", _classes(features, labels), 0.1)
    scaled = solve("ridge", _classes(10 * features, labels), 0.1)
    np.testing.assert_allclose(10 * scaled.weight, plain.weight)


def test_a_gaussian_head_gives_log_posteriors() -> None:
    features, labels = _rows()
    head = solve("lda", _classes(features, labels), 1e-12)
    means = np.stack([features[labels == c].mean(0) for c in range(3)])
    apart = features - means[labels]
    inverse = np.linalg.inv(apart.T @ apart / len(labels))
    away = features[:, None] - means
    density = -np.einsum("nci,ij,ncj->nc", away, inverse, away) / 2
    expected = density + np.log(np.bincount(labels) / len(labels))
    scores = features @ head.weight.T + head.bias
    normal = scores - np.logaddexp.reduce(scores, 1, keepdims=True)
    expected = expected - np.logaddexp.reduce(expected, 1, keepdims=True)
    np.testing.assert_allclose(normal, expected, atol=1e-9)


def test_class_means_are_compared_by_cosine() -> None:
    features, labels = _rows()
    head = solve("ncm", _classes(features, labels), 1.0)
    np.testing.assert_allclose(np.linalg.norm(head.weight, axis=1), 1)
    mean = features[labels == 1].mean(0)
    np.testing.assert_allclose(head.weight[1], mean / np.linalg.norm(mean))


def test_fedcof_estimates_covariance_from_class_means_as_published() -> None:
    features, labels = _rows(12, 1)
    clients = [
        _sums(features[own], labels[own]) for own in (slice(0, 2), slice(2, 7), slice(7, 12))
    ]
    means = [one.sums[0, 0] / one.counts[0, 0] for one in clients]
    apart = [mean - features.mean(0) for mean in means]
    weighted = zip((2, 5, 5), apart, strict=True)
    covariance = sum(n * np.outer(own, own) for n, own in weighted) / (3 - 1)
    np.testing.assert_allclose(estimated_gram(clients), (12 - 1) * covariance)
    np.testing.assert_allclose(estimated_gram([_sums(features, labels)]), 0, atol=1e-12)


def test_fedcofs_covariance_is_right_on_average() -> None:
    rng = np.random.default_rng(2)
    true = np.diag([1.0, 0.25, 4.0, 0.5])
    found = np.zeros((4, 4))
    for _ in range(400):
        rows = rng.normal(size=(40, 4)) @ np.sqrt(true)
        nothing = np.zeros(10, np.int64)
        found += estimated_gram([_sums(own, nothing) for own in np.split(rows, 4)]) / (39 * 400)
    np.testing.assert_allclose(found, true, atol=0.6)
    np.testing.assert_allclose(np.diag(found) / np.diag(true), 1, atol=0.2)


def test_a_group_that_is_rare_counts_as_much_in_a_balanced_head() -> None:
    """Two classes that one feature tells apart in the common group, another in the rare one."""
    rng = np.random.default_rng(3)
    labels = np.tile([0, 1], 500)
    groups = (np.arange(1000) >= 960).astype(np.int64)
    features = rng.normal(size=(1000, 3))
    features[np.arange(1000), groups] += np.where(labels == 1, 2.0, -2.0)
    features[:, 2] = groups
    rare = groups == 1
    sums = summed(features, labels, groups, (2, 2), "cell")
    right = {}
    for balance in ("none", "group"):
        weights = cell_weights(sums.counts, balance, np.array([True, True]))
        head = solve("ridge", by_class(sums, weights), 1e-6)
        right[balance] = ((features @ head.weight.T + head.bias).argmax(1) == labels)[rare].mean()
    assert right["group"] > right["none"] + 0.1


@pytest.mark.parametrize("method", ["ncm", "ridge", "lda", "cof"])
def test_a_class_that_nobody_has_goes_by_its_text_or_is_never_predicted(method: Method) -> None:
    features, labels = _rows(classes=2)
    classes = _classes(features, labels)
    without = solve(method, classes, 0.01)
    assert without.bias[2] == NEVER
    assert not without.weight[2].any()
    shift = np.array([0.5, 0.5, 0.5, -3])  # texts lie elsewhere than images, all of them
    expecting = with_prior(classes, CENTRES + shift)
    np.testing.assert_allclose(expecting.means[2], CENTRES[2], atol=0.1)
    np.testing.assert_allclose(expecting.means[:2], classes.means[:2])
    if method == "cof":
        rows = np.split(np.arange(300), 20)
        gram = estimated_gram([_sums(features[own], labels[own]) for own in rows])
        expecting = Classes(expecting.mass, expecting.sums, gram)
    head = solve(method, expecting, 0.01)
    scores = np.vstack([CENTRES[2], features]) @ head.weight.T + head.bias
    assert scores[0].argmax() == 2
    assert (scores[1:].argmax(1) == labels).mean() > 0.8


@pytest.mark.parametrize("method", ["ridge", "lda"])
def test_a_text_that_is_off_where_classes_are_narrow_is_not_trusted_there(method: Method) -> None:
    """The last feature has a sixth of the error that texts have along it."""
    features, labels = _rows(classes=2)
    texts = CENTRES + np.array([[0, 0, 0, 0.6], [0, 0, 0, -0.6], [0, 0, 0, 0.6]])
    head = solve(method, with_prior(_classes(features, labels), texts), 0.01)
    rng = np.random.default_rng(5)
    others = CENTRES[2] + rng.normal(size=(200, 4)) @ np.diag([1.0, 0.5, 0.7, 0.1])
    scores = others @ head.weight.T + head.bias
    assert (scores.argmax(1) == 2).mean() > 0.7


def test_texts_of_classes_with_images_count_as_so_many() -> None:
    features, labels = _rows()
    classes = _classes(features, labels)
    texts = CENTRES + np.array([0.5, 0.5, 0.5, -3])
    same = with_prior(classes, texts)
    np.testing.assert_allclose(same.sums, classes.sums)
    for rows in (50, 10**9):
        moved = with_prior(classes, texts, rows)
        np.testing.assert_allclose(moved.mass, classes.mass + rows)
        expected = texts + (classes.means - texts).mean(0)
        share = (classes.mass / moved.mass)[:, None]
        means = share * classes.means + (1 - share) * expected
        np.testing.assert_allclose(moved.means, means)
