"""From plans to accepted images, with a generator and a scorer that are easy to foresee."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from generators.curation import max_candidates
from generators.requests import Image, Request, Source, request_seed
from generators.store import ImageStore
from generators.synthesis import SHARED, Curation, Synthesiser
from semantic.attributes import AttributeTable, table_from_names
from semantic.conditioning import Conditioner
from semantic.errors import InputError
from semantic.space import SemanticSpace

SPACE = SemanticSpace(("cat", "dog"), ("red", "blue"), table_from_names(("cat", "dog")))


class FakeGenerator:
    """Images whose first pixel is the seed's last digits; every fifth is blank."""

    fingerprint = "fake"
    batch_size = 4

    def __init__(self) -> None:
        self.made = 0

    def generate(self, requests: Sequence[Request]) -> Image:
        self.made += len(requests)
        images = np.zeros((len(requests), 8, 8, 3), np.uint8)
        for image, request in zip(images, requests, strict=True):
            if request.seed % 5:
                image[::2] = 255
                image[0, 0, 0] = request.seed % 251
        return images

    def autoencode(self, images: Image) -> Image:
        return images


class FakeScorer:
    """Gives cell (0, 0) every image whose first pixel is even."""

    space = SPACE
    fingerprint = "scorer"

    def scores(self, images: Image) -> np.ndarray:
        scores = np.full((len(images), 2, 2), np.log(0.1), np.float32)
        even = images[:, 0, 0, 0] % 2 == 0
        scores[even, 0, 0] = np.log(0.7)
        scores[~even, 1, 1] = np.log(0.7)
        return scores


def _maker(root: Path, generator: FakeGenerator, **settings: Any) -> Synthesiser:
    store = ImageStore(root, generator.fingerprint)
    curation = settings.pop("curation", Curation(margin=0.0, max_tries=4.0))
    return Synthesiser(generator, FakeScorer(), store, curation, 0, **settings)  # type: ignore[arg-type]


def test_rejected_images_are_replaced_and_counted_by_reason(tmp_path: Path) -> None:
    pool = _maker(tmp_path, FakeGenerator()).pool(0, 0, 6)
    assert len(pool.images) == 6
    assert all(image[0, 0, 0] % 2 == 0 and image.any() for image in pool.images)
    assert pool.rejected["margin"] > 0
    assert pool.rejected["blank"] > 0
    assert all(entry.margin == pytest.approx(np.log(7), abs=1e-3) for entry in pool.entries)


def test_cell_that_cannot_be_filled_is_reported_short(tmp_path: Path) -> None:
    made = _maker(tmp_path, FakeGenerator()).fill(np.array([[0, 5], [0, 0]]), 0, 5)
    assert made.requested.tolist() == [[0, 5], [0, 0]]
    assert made.accepted.sum() == 0
    assert len(made.labels) == 0
    assert sum(cells[0, 1] for cells in made.rejected.values()) == 20


def test_nothing_is_made_twice(tmp_path: Path) -> None:
    wanted = np.array([[3, 0], [0, 3]])
    first, second = FakeGenerator(), FakeGenerator()
    one = _maker(tmp_path, first).fill(wanted, 0, 6)
    two = _maker(tmp_path, second).fill(wanted, 0, 6)
    assert one.generated == first.made > 0
    assert two.reused == first.made
    assert (two.generated, second.made) == (0, 0)
    assert np.array_equal(one.images, two.images)


def test_interruption_continues_with_the_same_images(tmp_path: Path) -> None:
    whole = _maker(tmp_path / "whole", FakeGenerator()).pool(0, 0, 8)
    _maker(tmp_path / "cut", FakeGenerator()).pool(0, 0, 2)
    rest = FakeGenerator()
    continued = _maker(tmp_path / "cut", rest).pool(0, 0, 8)
    assert np.array_equal(np.stack(whole.images), np.stack(continued.images))
    assert 0 < rest.made < whole.generated


def test_clients_draw_different_images_of_a_shared_pool_and_none_of_anothers(
    tmp_path: Path,
) -> None:
    maker = _maker(tmp_path, FakeGenerator())
    wanted = np.array([[4, 0], [0, 0]])
    shared = [maker.fill(wanted, client, 12) for client in (0, 1)]
    assert shared[1].generated == 0
    assert not np.array_equal(shared[0].images, shared[1].images)
    own = [maker.fill(wanted, client, 12, share=False) for client in (0, 1)]
    assert own[0].generated > 0
    assert own[1].generated > 0


def test_labels_and_groups_follow_the_plan(tmp_path: Path) -> None:
    made = _maker(tmp_path, FakeGenerator()).fill(np.array([[2, 0], [0, 1]]), 3, 2)
    assert made.labels.tolist() == [0, 0, 1]
    assert made.groups.tolist() == [0, 0, 1]
    assert made.accepted.tolist() == [[2, 0], [0, 1]]


def test_an_image_scored_by_another_clip_is_scored_again_and_not_made_again(
    tmp_path: Path,
) -> None:
    _maker(tmp_path, FakeGenerator()).pool(0, 0, 2)
    again = FakeGenerator()
    maker = _maker(tmp_path, again)
    maker._scorer.fingerprint = "another"  # type: ignore[misc]
    pool = maker.pool(0, 0, 2)
    assert again.made == pool.generated == 0
    assert {entry.scorer for entry in pool.entries} == {"another"}


def test_outcome_depends_neither_on_batches_nor_on_what_was_there(tmp_path: Path) -> None:
    outcomes = []
    for size in (1, 4, 7, 64):
        generator = FakeGenerator()
        generator.batch_size = size
        maker = _maker(tmp_path / str(size), generator)
        maker.prepare(0, 0, size % 3)
        pool = maker.pool(0, 0, 9)
        outcomes.append((pool.verdicts, pool.rejected, np.stack(pool.images).tolist()))
        assert [key for key, reason in pool.verdicts if reason is None] == [
            entry.key for entry in pool.entries
        ]
    assert all(outcome == outcomes[0] for outcome in outcomes)


@pytest.mark.parametrize("size", [1, 4, 64])
def test_budget_is_counted_in_images_whatever_the_batch(tmp_path: Path, size: int) -> None:
    generator = FakeGenerator()
    generator.batch_size = size
    pool = _maker(tmp_path, generator, curation=Curation(max_tries=1.5)).pool(0, 1, 5)
    assert (pool.requested, pool.deficit, len(pool.verdicts)) == (5, 5, 8)
    assert pool.summary()["short"] == 5


def test_a_budget_is_not_exceeded_by_rounding(tmp_path: Path) -> None:
    pool = _maker(tmp_path, FakeGenerator(), curation=Curation(max_tries=1.1)).pool(0, 1, 50)
    assert len(pool.verdicts) == 55
    assert [max_candidates(n, 1.1) for n in (0, 1, 10, 50, 51)] == [0, 2, 11, 55, 57]


@pytest.mark.parametrize("batch", [1, 4, 64])
def test_no_more_are_made_than_are_short(tmp_path: Path, batch: int) -> None:
    generator = FakeGenerator()
    generator.batch_size = batch
    every = _maker(tmp_path / "every", generator, curation=Curation(checks=())).pool(0, 0, 6)
    assert (len(every.images), generator.made) == (6, 6)
    some = _maker(tmp_path / "some", generator).pool(0, 0, 6)
    # All that were made are judged: the last of them is the one that filled the cell.
    assert some.generated == len(some.verdicts) > 6
    assert some.verdicts[-1][1] is None


def test_prepared_images_are_made_once_and_judged_later(tmp_path: Path) -> None:
    generator = FakeGenerator()
    assert _maker(tmp_path, generator).prepare(0, 0, 6) == (6, 0)
    assert _maker(tmp_path, generator).prepare(0, 0, 8) == (2, 6)
    assert generator.made == 8
    _maker(tmp_path, generator).prepare(0, 0, 16)
    pool = _maker(tmp_path, generator).pool(0, 0, 4)
    assert (pool.generated, generator.made) == (0, 16)
    assert pool.reused >= len(pool.verdicts) > 4


def test_image_whose_row_was_lost_is_taken_up_without_making_it_again(tmp_path: Path) -> None:
    before = _maker(tmp_path, FakeGenerator()).pool(0, 0, 6)
    manifest = tmp_path / "fake" / "manifest.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:3]))
    rest = FakeGenerator()
    after = _maker(tmp_path, rest).pool(0, 0, 6)
    assert rest.made == 0
    assert after.verdicts == before.verdicts
    assert np.array_equal(np.stack(after.images), np.stack(before.images))


def test_without_a_conditioner_the_first_prompt_and_nothing_else_is_asked(tmp_path: Path) -> None:
    cell = SPACE.cell(1, 0)
    request = _maker(tmp_path, FakeGenerator()).request(1, 0, 3)
    seed = request_seed(0, SHARED, cell, 3)
    assert request == Request(cell, "a photo of a red dog", seed)


def test_conditioner_and_negative_prompt_reach_the_requests(tmp_path: Path) -> None:
    table = AttributeTable(("cat", "dog"), ("cat", "dog"), ("whiskers",), np.array([[1.0], [0.0]]))
    space = SemanticSpace(("cat", "dog"), ("red", "blue"), table)
    maker = _maker(
        tmp_path,
        FakeGenerator(),
        conditioner=Conditioner(space, "composition", weight=0.5),
        negative="blur",
    )
    request = maker.request(0, 0, 0)
    assert request.prompt.endswith("cat, whiskers")
    assert request.terms == ((request.prompt.replace("cat", "item"), 0.5),)
    assert request.negative == "blur"
    with pytest.raises(InputError, match="'dog' has no attribute"):
        maker.request(1, 0, 0)


def test_a_clients_own_images_are_started_from_in_turn_and_never_for_others(
    tmp_path: Path,
) -> None:
    own = [np.full((8, 8, 3), value, np.uint8) for value in (1, 2)]
    maker = _maker(
        tmp_path, FakeGenerator(), sources=lambda cell: own if cell.class_name == "cat" else ()
    )
    started = [maker.request(0, 0, index, "client 3").source for index in range(3)]
    assert started == [Source.of(own[0]), Source.of(own[1]), Source.of(own[0])]
    assert maker.request(1, 0, 0, "client 3").source is None
    with pytest.raises(InputError, match="cannot be shared"):
        maker.pool(0, 0, 2)


class BrokenGenerator(FakeGenerator):
    """Overflows on every odd seed."""

    def generate(self, requests: Sequence[Request]) -> Any:
        sound = super().generate(requests).astype(np.float32)
        return [
            np.full_like(image, np.nan) if request.seed % 2 else image.astype(np.uint8)
            for image, request in zip(sound, requests, strict=True)
        ]


def test_corrupt_images_are_counted_and_stay_corrupt_in_the_store(tmp_path: Path) -> None:
    curation = Curation(max_tries=4.0, checks=("corrupt", "blank", "margin"))
    pool = _maker(tmp_path, BrokenGenerator(), curation=curation).pool(0, 0, 3)
    odd = sum(
        _maker(tmp_path, FakeGenerator()).request(0, 0, index).seed % 2
        for index in range(len(pool.verdicts))
    )
    assert pool.rejected["corrupt"] == odd > 0
    again = BrokenGenerator()
    resumed = _maker(tmp_path, again, curation=curation).pool(0, 0, 3)
    assert again.made == 0
    assert resumed.rejected == pool.rejected


def test_store_says_what_its_generator_is(tmp_path: Path) -> None:
    import json

    generator: Any = FakeGenerator()
    generator.settings = SimpleNamespace(steps=1)  # no dataclass: nothing that can be relied on
    generator.weights = "abc"
    _maker(tmp_path, generator)
    facts = json.loads((tmp_path / "fake" / "generator.json").read_text())
    assert (facts["fingerprint"], facts["weights"]) == ("fake", "abc")
    assert "settings" not in facts
    assert facts["versions"]["numpy"] == np.__version__


def test_whole_batches_accept_the_same_images_and_waste_no_padding(tmp_path: Path) -> None:
    exact = _maker(tmp_path / "exact", FakeGenerator()).pool(0, 0, 7)
    whole = _maker(tmp_path / "whole", FakeGenerator(), whole_batches=True).pool(0, 0, 7)
    assert [entry.key for entry in whole.entries] == [entry.key for entry in exact.entries]
    assert whole.generated % FakeGenerator().batch_size == 0
    assert exact.generated <= whole.generated
