"""Training repeats exactly, learns, and samples as it is told; counts are exact."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fairfed.models import build_model, confusion_counts, epoch_rows, train_epochs


class BrightnessEncoder:
    """Embeds an image as a direction that turns with its brightness."""

    dimension = 2

    def embed_images(self, images: np.ndarray) -> Tensor:
        bright = torch.from_numpy(images.mean(axis=(1, 2, 3)) / 255)
        return torch.stack([bright, 1 - bright], dim=1)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shades(n: int = 60) -> tuple[Tensor, Tensor]:
    """Dark images are class 0, bright ones class 1."""
    labels = torch.arange(n) % 2
    noise = torch.randint(0, 100, (n, 8, 8, 3), generator=generator(9))
    return (noise + 150 * labels[:, None, None, None]).to(torch.uint8), labels


def train(name: str, seed: int = 0, **settings: object) -> tuple[nn.Module, float]:
    images, labels = shades()
    model = build_model(name, 2, 8, encoder=BrightnessEncoder())
    arguments = {"epochs": 3, "batch_size": 16, "lr": 0.05, "momentum": 0.9} | settings
    loss = train_epochs(model, images, labels, generator=generator(seed), **arguments)  # type: ignore[arg-type]
    return model, loss


@pytest.mark.parametrize("name", ["cnn-bn", "cnn-gn", "clip-head"])
def test_a_model_learns_dark_from_bright(name: str) -> None:
    model, loss = train(name, epochs=20)
    images, labels = shades()
    counts, test_loss = confusion_counts(
        model, images, labels, torch.zeros(60, dtype=torch.int64), n_groups=1, n_classes=2
    )
    assert counts.tolist() == [[[30, 0], [0, 30]]]
    assert loss < 0.5
    assert test_loss < 0.5


def test_same_generator_same_model_also_in_threads() -> None:
    def state(seed: int) -> list[Tensor]:
        return list(train("cnn-bn", seed)[0].state_dict().values())

    alone = state(1)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(state, [1, 2, 1, 3]))
    for index in (0, 2):
        assert all(torch.equal(a, b) for a, b in zip(alone, together[index], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(alone, together[1], strict=True))


def test_training_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    train("cnn-bn")
    assert torch.equal(torch.get_rng_state(), before)


def test_one_step_is_gradient_descent() -> None:
    class Scores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scores = nn.Parameter(torch.zeros(2))

        def forward(self, images: Tensor) -> Tensor:
            return self.scores.expand(len(images), 2)

    model = Scores()
    images, labels = torch.zeros(4, 1, 1, 3, dtype=torch.uint8), torch.tensor([0, 0, 0, 1])
    settings = {"epochs": 1, "batch_size": 4, "lr": 0.4, "generator": generator()}
    loss = train_epochs(model, images, labels, **settings)  # type: ignore[arg-type]
    assert loss == pytest.approx(np.log(2))
    # The mean gradient is softmax − frequency: (0.5 − 0.75, 0.5 − 0.25).
    assert model.scores.tolist() == pytest.approx([0.1, -0.1])


def test_a_last_batch_of_one_is_avoided() -> None:
    sizes: list[int] = []

    class Spy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, images: Tensor) -> Tensor:
            sizes.append(len(images))
            return self.weight * torch.ones(len(images), 2)

    images, labels = torch.zeros(33, 1, 1, 3, dtype=torch.uint8), torch.zeros(33).long()
    train_epochs(Spy(), images, labels, epochs=1, batch_size=32, lr=0.1, generator=generator())
    assert sizes == [17, 16]


@given(
    weights=st.lists(st.floats(0, 10) | st.just(0.0), min_size=1, max_size=30).filter(
        lambda w: sum(w) > 1e-6
    ),
    samples=st.integers(1, 200),
    seed=st.integers(0, 2**31),
)
def test_a_row_comes_up_as_often_as_its_weight_says(
    weights: list[float], samples: int, seed: int
) -> None:
    rows = epoch_rows(len(weights), generator(seed), torch.tensor(weights), samples)
    assert len(rows) == samples
    drawn = torch.bincount(rows, minlength=len(weights)).double()
    exact = torch.tensor(weights).double()
    expected = exact / exact.sum() * samples
    assert ((drawn - expected).abs() < 1 + 1e-9).all()
    assert (drawn[exact == 0] == 0).all()


@given(st.integers(1, 500), st.integers(0, 2**31))
def test_without_weights_an_epoch_is_a_permutation(n_rows: int, seed: int) -> None:
    rows = epoch_rows(n_rows, generator(seed))
    assert sorted(rows.tolist()) == list(range(n_rows))
    assert rows.tolist() == epoch_rows(n_rows, generator(seed)).tolist()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], r"shape \(1,\), expected \(2,\)"),
        ([1.0, -1.0], "not negative"),
        ([0.0, 0.0], "not all zero"),
        ([1.0, float("nan")], "finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        epoch_rows(2, generator(), torch.tensor(weights))


def test_an_epoch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="0 rows"):
        epoch_rows(0, generator())
    with pytest.raises(ValueError, match="0 samples"):
        epoch_rows(3, generator(), samples_per_epoch=0)


class Echo(nn.Module):
    """Predicts the class that the red value of an image's first pixel names."""

    def forward(self, images: Tensor) -> Tensor:
        red = (images[:, 0, 0, 0] * 255).round().long()
        return nn.functional.one_hot(red, 3).float()


def test_counts_are_by_group_truth_and_prediction() -> None:
    predicted = torch.tensor([0, 1, 2, 2, 1, 1])
    images = predicted[:, None, None, None].expand(6, 2, 2, 3).to(torch.uint8)
    labels = torch.tensor([0, 1, 1, 2, 1, 0])
    groups = torch.tensor([0, 0, 0, 1, 1, 1])
    counts, loss = confusion_counts(Echo(), images, labels, groups, n_groups=2, n_classes=3)
    assert counts.tolist() == [
        [[1, 0, 0], [0, 1, 1], [0, 0, 0]],
        [[0, 1, 0], [0, 1, 0], [0, 0, 1]],
    ]
    right, wrong = -np.log(np.e / (np.e + 2)), -np.log(1 / (np.e + 2))
    assert loss == pytest.approx((4 * right + 2 * wrong) / 6)


def test_counts_do_not_depend_on_the_cut_into_batches() -> None:
    model = build_model("cnn-bn", 3, 8)
    images = torch.randint(0, 256, (1200, 8, 8, 3), dtype=torch.uint8, generator=generator())
    labels, groups = torch.arange(1200) % 3, torch.arange(1200) % 2
    sizes = {"n_groups": 2, "n_classes": 3}
    whole, _ = confusion_counts(model, images, labels, groups, **sizes)
    parts = [
        confusion_counts(model, images[rows], labels[rows], groups[rows], **sizes)[0]
        for rows in torch.arange(1200).tensor_split(7)
    ]
    np.testing.assert_array_equal(whole, sum(parts))
    assert whole.sum() == 1200


def test_no_rows_are_no_counts() -> None:
    images, nothing = torch.zeros(0, 8, 8, 3, dtype=torch.uint8), torch.zeros(0).long()
    model = build_model("cnn-bn", 2, 8)
    counts, loss = confusion_counts(model, images, nothing, nothing, n_groups=1, n_classes=2)
    assert (counts.sum(), loss) == (0, 0.0)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("adam", lambda own: torch.optim.Adam(own, 0.01, (0.8, 0.999), weight_decay=0.1)),
        ("adamw", lambda own: torch.optim.AdamW(own, 0.01, (0.8, 0.999), weight_decay=0.1)),
        ("sgd", lambda own: torch.optim.SGD(own, 0.01, 0.8, weight_decay=0.1)),
    ],
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_optimisers_are_pytorchs_and_accumulated_batches_are_one(
    name: str, made: Callable[..., torch.optim.Optimizer], accumulate: int
) -> None:
    """Steps of six rows, clipped: what a plain loop does."""
    images, labels = shades(12)
    how = {"epochs": 1, "lr": 0.01, "momentum": 0.8, "weight_decay": 0.1, "clip": 0.05}
    model = build_model("cnn-gn", 2, 8)
    train_epochs(
        model, images, labels, batch_size=6 // accumulate, accumulate=accumulate,
        optimizer=name, generator=generator(), **how,
    )  # type: ignore[arg-type]  # fmt: skip
    plain = build_model("cnn-gn", 2, 8).train()
    steps = made(plain.parameters())
    for batch in epoch_rows(12, generator()).tensor_split(2):
        steps.zero_grad()
        logits = plain(images[batch].permute(0, 3, 1, 2).float() / 255)
        nn.functional.cross_entropy(logits, labels[batch]).backward()
        assert nn.utils.clip_grad_norm_(plain.parameters(), 0.05) > 0.05
        steps.step()
    for own, other in zip(model.parameters(), plain.parameters(), strict=True):
        # Adam's first steps have one length, so that rounding may turn those of tiny gradients.
        assert (own - other).abs().mean() < (1e-3 if accumulate > 1 else 1e-7)


def test_elsewhere_a_copy_is_trained_and_comes_back() -> None:
    """`cpu:0` is the CPU by another name: the way of a GPU, with the same numbers."""
    here, there = (train("cnn-bn", device=device, proximal=0.1) for device in ("cpu", "cpu:0"))
    assert here[1] == there[1]
    states = [model.state_dict() for model, _ in (here, there)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_bfloat16_learns_as_well_and_leaves_weights_as_they_are() -> None:
    model, loss = train("cnn-gn", epochs=20, amp=True)
    assert loss < 0.5
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert loss != train("cnn-gn", epochs=20)[1]
