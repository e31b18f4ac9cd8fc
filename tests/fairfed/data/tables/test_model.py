"""The models of tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from fairfed.models import TabularModel, build_model, confusion_counts, train_epochs


def _separable() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 3)).astype(np.float32)
    chance = 1 / (1 + np.exp(-(2 * features[:, 0] - features[:, 1] + 0.5)))
    return torch.from_numpy(features), torch.from_numpy((rng.random(400) < chance).astype(np.int64))


def test_logistic_regression_finds_scikit_learns_solution() -> None:
    features, labels = _separable()
    model = build_model("logistic", 2, inputs=3)
    generator = torch.Generator().manual_seed(0)
    train_epochs(model, features, labels, epochs=200, batch_size=400, lr=1.0, generator=generator)
    exact = LogisticRegression(C=np.inf, tol=1e-8).fit(features.numpy(), labels.numpy())
    assert isinstance(model, TabularModel)
    assert model.head.weight.detach().numpy() == pytest.approx(exact.coef_, abs=0.01)
    assert model.head.bias.detach().numpy() == pytest.approx(exact.intercept_, abs=0.01)


def test_two_classes_are_one_sigmoid() -> None:
    model = build_model("mlp", 2, inputs=4, seed=3)
    features = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    logits = model(features)
    assert not logits[:, 0].any()
    assert torch.allclose(logits.softmax(1)[:, 1], logits[:, 1].sigmoid())
    assert sum(weights.numel() for weights in model.parameters()) == 4 * 10 + 10 + 10 + 1


def test_logistic_regression_starts_at_zero() -> None:
    weights = build_model("logistic", 3, inputs=5).state_dict()
    assert {name: tuple(w.shape) for name, w in weights.items()} == {
        "head.weight": (2, 5),
        "head.bias": (2,),
    }
    assert not any(weight.any() for weight in weights.values())


def test_a_hidden_layer_learns_what_is_not_linear() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (400, 2)).astype(np.float32)
    features = torch.from_numpy(points)
    labels = torch.from_numpy((points[:, 0] * points[:, 1] > 0).astype(np.int64))
    groups = torch.zeros(400, dtype=torch.int64)
    right = {}
    for name in ("logistic", "mlp"):
        model = build_model(name, 2, inputs=2)
        generator = torch.Generator().manual_seed(0)
        train_epochs(
            model, features, labels, epochs=60, batch_size=20, lr=0.3, momentum=0.9,
            generator=generator,
        )  # fmt: skip
        counts, _ = confusion_counts(model, features, labels, groups, n_groups=1, n_classes=2)
        right[name] = counts[0].trace() / 400
    assert right["logistic"] < 0.65
    assert right["mlp"] > 0.95


def test_a_model_of_tables_needs_inputs() -> None:
    with pytest.raises(ValueError, match="logistic needs inputs"):
        build_model("logistic", 2)
