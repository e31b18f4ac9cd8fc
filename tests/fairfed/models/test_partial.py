"""A part of any network is trained and sent; the rest is everybody's already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fairfed.config import Config
from fairfed.models import build_model
from fairfed.models.library import load_weights
from fairfed.models.partial import PartlyTrained, partly_trained, whole_state
from fairfed.rounds import checkpoint
from fairfed.sites.model_sources import ModelSources
from fairfed.sites.packaged import load_model
from fairfed.sites.workplace import Workplace
from fairfed.systems.classifier.exporting import export_run
from semantic.errors import InputError
from tests.fairfed.runs import logged, place_of, play, run_of

Small = Callable[..., Config]
TINY = "timm:test_resnet.r160_in1k"
PARTS = ("head", "bias", "lora")


class Attentive(nn.Module):
    """Attention over the rows of an image, as torchvision's transformers have it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(24, 2, batch_first=True)
        self.body = nn.Linear(24, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.permute(0, 2, 1, 3).flatten(2)
        mixed, _ = self.attention(rows, rows, rows, need_weights=False)
        found: Tensor = self.head(torch.relu(self.body(mixed.mean(1))))
        return found


def attentive() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Attentive()


def tiny() -> nn.Module:
    return build_model(TINY, 3, 32)


def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _trained(model: PartlyTrained, size: int) -> PartlyTrained:
    images = torch.rand(6, 3, size, size, generator=draw())
    steps = torch.optim.SGD(model.train().parameters(), lr=0.1)
    for _ in range(3):
        steps.zero_grad()
        nn.functional.cross_entropy(model(images), torch.arange(6) % 3).backward()
        steps.step()
    return model


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("network", "size"), [(tiny, 32), (attentive, 8)])
def test_only_a_part_changes_and_a_plain_network_has_it(
    network: Callable[[], nn.Module], size: int, part: str
) -> None:
    images = torch.rand(4, 3, size, size, generator=draw())
    plain, model = network().eval(), partly_trained(network(), part, 2, draw())
    assert torch.allclose(model(images), plain(images), atol=1e-6)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    _trained(model, size)
    sent = model.state_dict()
    after = model.network.state_dict()
    changed = {f"network.{name}" for name in before if not torch.equal(before[name], after[name])}
    assert changed <= sent.keys()
    assert len(sent) < len(after) or part == "lora"
    assert sum(v.numel() for v in sent.values()) < 0.7 * sum(v.numel() for v in before.values())
    other = partly_trained(network(), part, 2, draw())
    other.load_state_dict(sent)
    assert torch.allclose(other(images), model(images), atol=1e-6)
    logits = model(images).detach()
    plain.load_state_dict(whole_state(model))
    assert torch.allclose(plain(images), logits, atol=1e-5)


def test_a_federation_sends_parts_and_exports_whole_networks(small: Small, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file(build_model(TINY, 9, 32, seed=7).state_dict(), file)
    arms = ", ".join(f'{{name="{part}", adapt="{part}"}}' for part in (*PARTS, "full"))
    config = small(
        f"model={TINY!r}", "data.image_size=32", "rounds=1", f"arms=[{arms}]", f"weights={file}",
    )  # fmt: skip
    run = run_of(config, workers=1)
    up = {row["arm"]: row["clients"][0]["bytes_up"] for row in logged(config)}
    assert up["head"] < up["bias"] < up["lora"] < up["full"]
    arm = next(arm for arm in config.arms if arm.name == "lora")
    kept = checkpoint.load(run / "checkpoints" / "lora.npz").arrays
    export_run(run, tmp_path / "model", "lora")
    found = load_model(tmp_path / "model")
    images = torch.rand(2, 3, 32, 32, generator=draw())
    wanted = place_of(config).model_with(kept, arm).eval()(images)
    assert torch.allclose(found(images), wanted, atol=1e-5)
    assert type(found.network) is type(build_model(TINY, 3, 32))


def test_a_site_needs_the_same_weights(small: Small, tmp_path: Path) -> None:
    files = [tmp_path / f"{seed}.safetensors" for seed in (1, 2)]
    for seed, file in enumerate(files):
        save_file(build_model(TINY, 3, 32, seed=seed).state_dict(), file)
    arm = 'arms=[{name="x", adapt="bias"}]'
    config = small(f"model={TINY!r}", "data.image_size=32", arm, f"weights={files[0]}")
    study = place_of(config).study
    model = Workplace(study, ModelSources(weights=str(files[0]))).model(config.arms[0])
    plain = build_model(TINY, 3, 32)
    load_weights(plain, str(files[0]))
    images = torch.rand(2, 3, 32, 32, generator=draw())
    assert torch.equal(model.eval()(images), plain.eval()(images))
    with pytest.raises(InputError, match=r"weights .* has other weights here"):
        Workplace(study, ModelSources(weights=str(files[1]))).model(config.arms[0])
    with pytest.raises(InputError, match=r"name the file in models\.weights"):
        Workplace(study, ModelSources()).model(config.arms[0])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("model=cnn-bn", 'arms=[{name="x", adapt="head"}]'), "adapt is of a pretrained network"),
        ((f"model={TINY!r}", 'arms=[{name="x", adapt="prompt"}]'), "'prompt' is of model 'clip'"),
        (
            (f"model={TINY!r}", "train.batch_norm=local", 'arms=[{name="x", adapt="head"}]'),
            "keeps BatchNorm as it was pretrained",
        ),
    ],
)
def test_what_cannot_be_adapted_is_refused(
    small: Small, settings: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        play(small(*settings))
