"""The adapter: identity at first, scored by cosine, without a label index."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from fairfed.config import TrainConfig
from fairfed.systems.shared_space.adapter import SCALE, Adapter, blur, train_adapter, unit


def _rows(n: int = 60) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Unit embeddings around three directions, their classes, and slightly wrong class vectors."""
    draw = torch.Generator().manual_seed(3)
    means = F.normalize(torch.randn(3, 8, generator=draw), dim=1)
    targets = torch.arange(n) % 3
    embeddings = F.normalize(means[targets] + 0.2 * torch.randn(n, 8, generator=draw), dim=1)
    classes = F.normalize(means + 0.6 * torch.randn(3, 8, generator=draw), dim=1)
    return embeddings, targets, classes


def _train(model: Adapter, competing: torch.Tensor) -> float:
    embeddings, targets, classes = _rows()
    return train_adapter(
        model, lambda: list(torch.arange(60).tensor_split(6)), embeddings, targets, classes,
        competing=competing, texts=torch.zeros(60, dtype=torch.bool), noise=1.0,
        how=TrainConfig(epochs=20, lr=0.1, momentum=0.9, weight_decay=0.0),
        draw=torch.Generator().manual_seed(0),
    )  # fmt: skip


def test_it_begins_as_clip_itself() -> None:
    embeddings, _, classes = _rows()
    model = Adapter(8, 4, seed=1)
    expected = SCALE * embeddings @ classes.T
    assert torch.allclose(model.logits(embeddings, classes), expected, atol=1e-5)


def test_training_improves_it() -> None:
    embeddings, targets, classes = _rows()
    model = Adapter(8, 4, seed=1)
    before = F.cross_entropy(model.logits(embeddings, classes), targets)
    loss = _train(model, torch.ones(60, 3, dtype=torch.bool))
    assert loss < 0.5 * before


def test_class_that_does_not_compete_teaches_nothing() -> None:
    _, targets, _ = _rows()
    alone = F.one_hot(targets, 3).bool()
    model = Adapter(8, 4, seed=1)
    assert _train(model, alone) == 0.0
    assert not model.outward.any()


def test_noise_is_of_the_asked_size_and_on_captions_alone() -> None:
    embeddings = F.normalize(
        torch.randn(400, 64, generator=torch.Generator().manual_seed(0)), dim=1
    )
    texts = torch.arange(400) >= 200
    noised = blur(embeddings, texts, 1.0, torch.Generator().manual_seed(1))
    assert torch.equal(noised[:200], embeddings[:200])
    assert torch.allclose(noised.norm(dim=1), torch.ones(400), atol=1e-5)
    # Of x + e with |e| about 1 and e across x, the cosine to x is about 1 / sqrt 2.
    cosine = (noised[200:] * embeddings[200:]).sum(1).mean()
    assert abs(cosine - 0.5**0.5) < 0.02
    assert blur(embeddings, texts, 0.0, torch.Generator()) is embeddings


def test_centring_takes_a_constant_gap_away() -> None:
    embeddings, _, _ = _rows()
    gap = torch.full((8,), 5.0)
    moved = unit(embeddings + gap, (embeddings + gap).mean(0))
    assert torch.allclose(moved, unit(embeddings, embeddings.mean(0)), atol=1e-4)
    assert torch.allclose(unit(embeddings, None), embeddings, atol=1e-6)
