"""Cells, prompts, and scores of the bundled CLIP."""

from __future__ import annotations

import copy
from importlib.resources import files

import numpy as np
import pytest
import torch

from semantic.attributes import load_attributes, table_from_names
from semantic.encoder import BUNDLED_CLIP, ClipEncoder, hash_folder, hash_weights, load_encoder
from semantic.errors import InputError
from semantic.space import Cell, CellScorer, SemanticSpace, margins, unfit_template
from semantic.tint import TINTS, tint_images


def _space() -> SemanticSpace:
    table = load_attributes()
    return SemanticSpace(table.classes, tuple(TINTS), table)


def test_prompts_name_the_group_only_where_it_says_something() -> None:
    table = table_from_names(("Cat",))
    space = SemanticSpace(("Cat",), ("red", "all"), table)
    assert space.prompts(Cell("Cat", "red"))[0] == "a photo of a red cat"
    assert space.prompts(Cell("Cat", "all"))[0] == "a photo of a cat"
    assert space.prompts(Cell("Cat", "missing × old"))[0] == "a photo of a old cat"
    assert str(Cell("Cat", "red")) == "Cat × red"
    assert str(Cell("Cat", "all")) == "Cat"


def test_class_without_a_row_and_template_without_a_noun_are_refused() -> None:
    table = table_from_names(("cat",))
    with pytest.raises(InputError, match="'dog' is in no row"):
        SemanticSpace(("dog",), ("all",), table)
    with pytest.raises(InputError, match="lacks the field"):
        SemanticSpace(("cat",), ("all",), table, ("a photo",))


def test_margin_is_own_log_probability_minus_the_best_other() -> None:
    scores = np.log(np.array([[[0.5, 0.2], [0.2, 0.1]]], np.float32))
    assert margins(scores, 0, 0)[0] == pytest.approx(np.log(0.5 / 0.2))
    assert margins(scores, 1, 1)[0] == pytest.approx(np.log(0.1 / 0.5))
    assert margins(np.zeros((2, 1, 1), np.float32), 0, 0).tolist() == [np.inf, np.inf]


def test_bundled_clip_reads_class_and_tint_of_real_test_images() -> None:
    with np.load(str(files("fairfed") / "bundled" / "fashion_mnist.npz")) as bundled:
        rows = np.flatnonzero(bundled["test"])[::5]
        images, labels = bundled["images"][rows], bundled["labels"][rows]
    tints = np.arange(len(rows)) % len(TINTS)
    shaded = tint_images(np.pad(images, ((0, 0), (2, 2), (2, 2))), tints)
    scores = CellScorer(load_encoder(), _space()).scores(shaded)
    assert np.exp(scores).sum((1, 2)) == pytest.approx(1, abs=1e-4)
    classes = np.logaddexp.reduce(scores, axis=2).argmax(1)
    assert (classes == labels).mean() > 0.86
    assert (np.logaddexp.reduce(scores, axis=1).argmax(1) == tints).mean() > 0.97


def test_embeddings_have_unit_length_and_do_not_depend_on_company() -> None:
    encoder = load_encoder()
    images = np.random.default_rng(0).integers(0, 255, (5, 32, 32, 3), dtype=np.uint8)
    together, alone = encoder.embed_images(images), encoder.embed_images(images[3:4])
    assert together.norm(dim=1).numpy() == pytest.approx(1, abs=1e-5)
    assert alone[0].numpy() == pytest.approx(together[3].numpy(), abs=1e-5)
    assert encoder.embed_images(images[:0]).shape == (0, encoder.dimension)
    assert encoder.fingerprint == hash_folder(BUNDLED_CLIP)


def test_other_weights_under_one_name_have_another_fingerprint() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    first = hash_weights(model, "ViT-B-32", "weights.pt")
    assert hash_weights(copy.deepcopy(model), "ViT-B-32", "weights.pt") == first
    assert hash_weights(model, "ViT-B-32-quickgelu", "weights.pt") != first
    with torch.no_grad():
        model[0].bias.add_(1)
    assert hash_weights(model, "ViT-B-32", "weights.pt") != first
    assert hash_weights(model.bfloat16(), "ViT-B-32", "weights.pt") != first


def test_a_model_that_is_no_directory_is_known_by_its_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import open_clip

    create, tokenizer = open_clip.create_model_and_transforms, open_clip.get_tokenizer
    bundled, shift = f"local-dir:{BUNDLED_CLIP}", 0.0

    def loaded(*_: object, **__: object) -> tuple[torch.nn.Module, object, object]:
        found: tuple[torch.nn.Module, object, object] = create(bundled)
        with torch.no_grad():
            next(found[0].parameters()).add_(shift)
        return found

    monkeypatch.setattr(open_clip, "create_model_and_transforms", loaded)
    monkeypatch.setattr(open_clip, "get_tokenizer", lambda name: tokenizer(bundled))
    source = "ViT-B-32/openai"
    first = ClipEncoder(source).fingerprint
    assert ClipEncoder(source).fingerprint == first
    shift = 1.0
    assert ClipEncoder(source).fingerprint != first


def test_unknown_model_and_wrong_folder_say_what_to_give(tmp_path_factory) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    with pytest.raises(InputError, match="'no-such-model' .* is not known"):
        ClipEncoder("no-such-model")
    with pytest.raises(InputError, match=r"holds no open_clip_config\.json"):
        ClipEncoder(str(tmp_path_factory.mktemp("empty")))


@pytest.mark.parametrize("source", ["ViT-B-32", "ViT-B-32/"])
def test_a_model_without_weights_is_refused_because_it_would_be_random(source: str) -> None:
    with pytest.raises(InputError, match="names no weights.*random.*as in ViT-B-32/"):
        ClipEncoder(source)


def test_a_directory_may_be_named_as_open_clip_names_it() -> None:
    assert ClipEncoder(f"local-dir:{BUNDLED_CLIP}").fingerprint == hash_folder(BUNDLED_CLIP)
    with pytest.raises(InputError, match=r"nowhere holds no open_clip_config\.json"):
        ClipEncoder("local-dir:nowhere")


@pytest.mark.parametrize("template", ["{noun:>999999999}", "a {noun!r}", "{noun} {group:4}"])
def test_a_template_fills_in_names_and_formats_nothing(template: str) -> None:
    """A study that a site is sent could have it write a text of a gigabyte."""
    assert "formats a field" in unfit_template(template)


def test_words_for_a_group_stand_where_they_belong() -> None:
    space = SemanticSpace(
        ("nevus",), ("F × 61",), table_from_names(("nevus",)),
        worded={"F": "of a woman", "61": "elderly"},
    )  # fmt: skip
    assert space.prompts(space.cell(0, 0))[0] == "a photo of a elderly nevus of a woman"
    plain = SemanticSpace(("nevus",), ("F × 61",), table_from_names(("nevus",)))
    assert plain.prompts(plain.cell(0, 0))[0] == "a photo of a F 61 nevus"
