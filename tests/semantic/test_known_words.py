"""The words that a small model says it knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generators.diffusion.families import known_words_of
from generators.diffusion.settings import BUNDLED_MODEL, DiffusionSettings
from semantic.attributes import load_attributes
from semantic.conditioning import Conditioner
from semantic.encoder import BUNDLED_CLIP, check_source, hash_folder
from semantic.errors import InputError
from semantic.known_words import KNOWN_WORDS, load_known_words, write_known_words
from semantic.space import SemanticSpace
from semantic.tint import TINTS


def test_words_of_prompts_are_compared_whatever_their_case_and_signs(tmp_path: Path) -> None:
    write_known_words(tmp_path, "tops", {"classes": ["T-shirt/top"], "templates": ["a photo of a"]})
    known = load_known_words(tmp_path)
    assert known is not None
    assert known.about == "tops"
    assert known.unknown("A photo of a t-shirt, top") == ()
    assert known.unknown("a photo of a lamp T-shirt, lamp, melanoma 3") == ("lamp", "melanoma", "3")


def test_a_model_without_the_file_is_not_asked(tmp_path: Path) -> None:
    assert load_known_words(tmp_path) is None


@pytest.mark.parametrize("content", ["{", "[]", '{"about": "x"}', '{"about": "x", "words": [1]}'])
def test_a_broken_file_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / KNOWN_WORDS).write_text(content)
    with pytest.raises(InputError, match=r"known_words\.json: expected JSON"):
        load_known_words(tmp_path)


@pytest.mark.parametrize("folder", [BUNDLED_CLIP, BUNDLED_MODEL])
def test_bundled_models_know_what_their_own_data_is_called(folder: Path) -> None:
    known, table = load_known_words(folder), load_attributes()
    assert known is not None
    space = SemanticSpace(table.classes, tuple(TINTS), table)
    cells = [space.cell(c, g) for c in range(10) for g in range(4)]
    attributes = Conditioner(space, "attributes")
    texts = [text for cell in cells for text in space.prompts(cell)]
    texts += [attributes.describe(cell, seed).prompt for cell in cells for seed in range(3)]
    texts += [name.lower() for name in table.classes]
    assert {text: known.unknown(text) for text in texts if known.unknown(text)} == {}
    for foreign in ("melanoma", "triangle", "sweater", "sandals", "7", "day", "lamp"):
        assert known.unknown(f"a photo of a {foreign}") == (foreign,)


def test_what_a_model_knows_is_no_part_of_its_identity(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("weights")
    before = hash_folder(tmp_path)
    write_known_words(tmp_path, "clothes", {"classes": ["bag"]})
    assert hash_folder(tmp_path) == before
    (tmp_path / "weights").write_text("others")
    assert hash_folder(tmp_path) != before


def test_textual_inversion_teaches_a_word() -> None:
    taught = DiffusionSettings(embeddings=("brooch.safetensors", "x.pt=<tiara>"))
    known = known_words_of(taught)
    assert known is not None
    assert known.unknown("a photo of a brooch, tiara, crown") == ("crown",)
    assert json.loads((BUNDLED_MODEL / KNOWN_WORDS).read_text())["about"] == known.about


def test_a_clip_without_named_weights_would_be_random_and_is_refused() -> None:
    with pytest.raises(InputError, match=r"'ViT-B-32' .*names no weights.*ViT-B-32/"):
        check_source("ViT-B-32")
    check_source("ViT-B-32/laion2b_s34b_b79k")
