"""Classical augmentation: torchvision's operations, our draws."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import v2

from fairfed.models import augmentation, build_model, train_epochs

NAMES = (
    ("Identity", False), ("ShearX", True), ("ShearY", True), ("TranslateX", True),
    ("TranslateY", True), ("Rotate", True), ("Brightness", True), ("Color", True),
    ("Contrast", True), ("Sharpness", True), ("Posterize", False), ("Solarize", False),
    ("AutoContrast", False), ("Equalize", False),
)  # fmt: skip


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _images(count: int = 12) -> torch.Tensor:
    return torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, generator=_generator())


@pytest.mark.parametrize("sign", [-1, 1])
def test_every_operation_is_torchvisions_at_its_defaults(sign: int) -> None:
    theirs, images = v2.RandAugment(), _images(3).permute(0, 3, 1, 2).contiguous()
    ours = augmentation._operations(32)
    assert len(ours) == len(NAMES) == len(theirs._AUGMENTATION_SPACE)
    for operation, (name, signed) in zip(ours, NAMES, strict=True):
        magnitudes, has_sign = theirs._AUGMENTATION_SPACE[name]
        assert has_sign == signed
        values = magnitudes(theirs.num_magnitude_bins, 32, 32)
        magnitude = 0.0 if values is None else float(values[theirs.magnitude])
        expected = theirs._apply_image_or_video_transform(
            images, name, sign * magnitude if signed else magnitude,
            interpolation=theirs.interpolation, fill=theirs._fill,
        )  # fmt: skip
        # Theirs computes the magnitude in single precision, which moves a rounding now and then.
        assert (operation(images, sign).int() - expected.int()).abs().max() <= 1, name


def test_draws_come_from_the_generator_alone() -> None:
    state = torch.get_rng_state()
    one, two = (augmentation.randaugment(_images(), _generator(3)) for _ in range(2))
    other = augmentation.randaugment(_images(), _generator(4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert (one.shape, one.dtype) == (_images().shape, torch.uint8)
    assert torch.equal(state, torch.get_rng_state())


def test_mixup_blends_rows_with_partners() -> None:
    partners, share = augmentation.mixup(50, _generator(1))
    assert sorted(partners.tolist()) == list(range(50))
    shares = [augmentation.mixup(2, _generator(seed))[1] for seed in range(400)]
    assert all(0 <= share <= 1 for share in shares)
    # Beta(0.2, 0.2) has mean 1/2 and variance 1 / (4 (2 · 0.2 + 1)) = 0.179.
    assert sum(shares) / 400 == pytest.approx(0.5, abs=0.07)
    assert sum((s - 0.5) ** 2 for s in shares) / 400 == pytest.approx(0.179, abs=0.03)
    assert 0 <= share <= 1


@pytest.mark.parametrize("name", ["randaugment", "mixup"])
def test_training_with_it_repeats_and_differs_from_plain(name: str) -> None:
    def weights(augmentation: str) -> torch.Tensor:
        model = build_model("lenet", 2)
        train_epochs(
            model, _images(), torch.arange(12) % 2, epochs=1, batch_size=6, lr=0.05,
            generator=_generator(), augmentation=augmentation, loss_weights=torch.ones(12),
        )  # fmt: skip
        return torch.cat([p.detach().ravel() for p in model.parameters()])

    assert torch.equal(weights(name), weights(name))
    assert not torch.equal(weights(name), weights("none"))


def test_lenet_is_the_benchmarks_network() -> None:
    plain, normed = build_model("lenet", 10), build_model("lenet-bn", 10)
    assert sum(p.numel() for p in plain.parameters()) == 62_006
    assert [n for n, _ in normed.named_buffers() if n.endswith("running_var")]
    again = build_model("lenet", 10)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), again.parameters(),
                                                 strict=True))  # fmt: skip
    bound = (3 * 25) ** -0.5
    first = next(plain.parameters())
    assert 0.9 * bound < first.abs().max() <= bound
    with pytest.raises(ValueError, match="at least 16"):
        build_model("lenet", 10, 8)
