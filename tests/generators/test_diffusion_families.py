"""Every Stable Diffusion family, from a directory of that class with random weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from generators.diffusion import DiffusionSettings, StableDiffusionGenerator, load_generator
from generators.diffusion.families import variant_of
from generators.requests import Request, Source, request_seed
from semantic.errors import InputError
from semantic.space import Cell

BAG = Cell("Bag", "red")
PROTOTYPE = (1.0, *(0.0,) * 7)
OTHER_PROTOTYPE = (*(0.0,) * 7, 1.0)
FAMILIES = ("sd1", "sd2", "turbo", "lcm", "xl", "unclip")
FROM_IMAGE = ("sd1", "xl", "lcm")
Family = Callable[[str], Path]


def _settings(folder: Path, family: str) -> DiffusionSettings:
    settings = DiffusionSettings(
        model=str(folder), steps=3, image_size=16, batch_size=3, device="cpu"
    )
    if family == "turbo":
        return replace(settings, scheduler="default", guidance=0.0)
    return replace(settings, scheduler="lcm") if family == "lcm" else settings


def _requests(family: str, count: int = 5) -> list[Request]:
    prototype = PROTOTYPE if family == "unclip" else ()
    return [
        Request(BAG, ("a red bag", "a dress")[i % 2], i, prototype=prototype) for i in range(count)
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_makes_each_image_whatever_its_company(
    tiny_family: Family, family: str
) -> None:
    generator = load_generator(_settings(tiny_family(family), family))
    requests = _requests(family)
    together = generator.generate(requests)
    assert together.shape == (5, 16, 16, 3)
    assert np.array_equal(generator.generate(requests[::-1]), together[::-1])
    assert np.array_equal(generator.generate(requests[3:4]), together[3:4])
    different = {image.tobytes() for image in together}
    assert len(different) == 5
    same_seed = [replace(requests[0], prompt=prompt) for prompt in ("a red bag", "a dress")]
    first, second = generator.generate(same_seed)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("family", FROM_IMAGE)
def test_a_source_is_where_an_image_starts(tiny_family: Family, family: str) -> None:
    settings = replace(_settings(tiny_family(family), family), strength=0.7)
    generator = load_generator(settings)
    rng = np.random.default_rng(0)
    sources = [Source.of(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)) for _ in range(2)]
    plain = Request(BAG, "a red bag", request_seed(0, "", BAG, 1))
    mixed = [plain, *(replace(plain, source=source) for source in sources)]
    images = generator.generate(mixed)
    assert len({image.tobytes() for image in images}) == 3
    assert np.array_equal(generator.generate(mixed[2:]), images[2:])
    assert np.array_equal(generator.generate([plain]), images[:1])


def test_strength_decides_how_far_an_image_departs(tiny_family: Family) -> None:
    settings = replace(_settings(tiny_family("sd1"), "sd1"), steps=8)
    pixels = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    request = Request(BAG, "a red bag", 1, source=Source.of(pixels))
    weak, strong = (
        StableDiffusionGenerator(replace(settings, strength=strength)) for strength in (0.2, 0.9)
    )
    assert weak.fingerprint != strong.fingerprint
    assert not np.array_equal(weak.generate([request]), strong.generate([request]))
    with pytest.raises(InputError, match="less than one step; raise"):
        StableDiffusionGenerator(replace(settings, strength=0.1)).generate([request])


@pytest.mark.parametrize("family", ["sd1", "xl"])
def test_terms_and_negative_prompts_change_an_image(tiny_family: Family, family: str) -> None:
    generator = load_generator(_settings(tiny_family(family), family))
    plain = Request(BAG, "a bag", 1)
    asked = [
        plain,
        replace(plain, terms=(("red", 1.0),)),
        replace(plain, terms=(("red", -1.0),)),
        replace(plain, terms=(("red", 1.0), ("a dress", 0.5))),
        replace(plain, negative="red"),
    ]
    images = generator.generate(asked)
    assert len({image.tobytes() for image in images}) == len(asked)
    for i, request in enumerate(asked):
        assert np.array_equal(generator.generate([request])[0], images[i])


def test_a_prompt_composed_with_itself_changes_nothing(tiny_family: Family) -> None:
    generator = load_generator(_settings(tiny_family("sd1"), "sd1"))
    plain = Request(BAG, "a bag", 1)
    alone, doubled = generator.generate([plain, replace(plain, terms=(("a bag", 1.0),))])
    assert np.abs(alone.astype(int) - doubled).max() <= 1


def test_a_prototype_conditions_unclip_and_only_models_that_read_one(
    tiny_family: Family,
) -> None:
    unclip = load_generator(_settings(tiny_family("unclip"), "unclip"))
    request = Request(BAG, "a bag", 1, prototype=PROTOTYPE)
    first, second = unclip.generate([request, replace(request, prototype=OTHER_PROTOTYPE)])
    assert not np.array_equal(first, second)
    with pytest.raises(InputError, match=r"give Bag × red a prototype"):
        unclip.generate([replace(request, prototype=())])
    with pytest.raises(InputError, match=r"has 2 values, .* reads 8"):
        unclip.generate([replace(request, prototype=(1.0, 0.0))])
    with pytest.raises(InputError, match=r"cannot start from an image"):
        unclip.generate([replace(request, source=Source.of(np.zeros((16, 16, 3), np.uint8)))])
    plain = load_generator(_settings(tiny_family("sd1"), "sd1"))
    with pytest.raises(InputError, match=r"holds no image_projection\.safetensors"):
        plain.generate([request])


def test_what_needs_guidance_is_refused_without(tiny_family: Family) -> None:
    request = Request(BAG, "a bag", 1)
    turbo = load_generator(_settings(tiny_family("turbo"), "turbo"))
    with pytest.raises(InputError, match=r"need guidance, and generator\.guidance = 0\.0"):
        turbo.generate([replace(request, terms=(("red", 1.0),))])
    distilled = load_generator(_settings(tiny_family("lcm"), "lcm"))
    with pytest.raises(InputError, match="is distilled"):
        distilled.generate([replace(request, negative="red")])


def test_damaged_weights_are_named(tiny_family: Family, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_family("sd1"), tmp_path / "damaged")
    (weights,) = (folder / "unet").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"damaged cannot be read .*copy the model again"):
        load_generator(_settings(folder, "sd1"))


def test_a_directory_of_half_precision_files_alone_is_read(
    tiny_family: Family, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_family("sd1"), tmp_path / "half")
    assert variant_of(folder) is None
    for path in folder.glob("*/*.safetensors"):
        path.rename(path.with_suffix(".fp16.safetensors"))
    assert variant_of(folder) == "fp16"
    images = load_generator(_settings(folder, "sd1")).generate(_requests("sd1", 2))
    expected = load_generator(_settings(tiny_family("sd1"), "sd1")).generate(_requests("sd1", 2))
    assert np.array_equal(images, expected)
    names = ("model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors")
    for name in names:
        (tmp_path / "sharded" / "unet").mkdir(parents=True, exist_ok=True)
        (tmp_path / "sharded" / "unet" / name).write_bytes(b"")
    assert variant_of(tmp_path / "sharded") == "fp16"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.safetensors", "is a single file.*from_single_file"),
        ("no/such/model", "is no directory, and no ORGANISATION/NAME of a hub"),
    ],
)
def test_what_no_hub_has_is_not_looked_for_there(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(InputError, match=said) as raised:
        load_generator(DiffusionSettings(model=str(tmp_path / name)))
    assert "hf download" not in str(raised.value)


def test_an_unknown_pipeline_is_named(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(InputError, match=r"is a FluxPipeline; the pipelines read here are Stable"):
        StableDiffusionGenerator(DiffusionSettings(model=str(tmp_path)))


def test_half_precision_gives_images(tiny_family: Family) -> None:
    settings = replace(_settings(tiny_family("xl"), "xl"), dtype="bfloat16")
    generator = StableDiffusionGenerator(settings)
    images = generator.generate(_requests("xl", 2))
    assert images.std() > 1
    assert generator.autoencode(images).shape == images.shape
