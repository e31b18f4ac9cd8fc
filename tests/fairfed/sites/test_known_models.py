"""A run whose CLIP or generator does not know its data: refused, planned without, or said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console

from fairfed.cli.tables import print_rejections, print_said
from fairfed.config import Config, parse_config
from fairfed.sites.known_models import check_models, check_rendering, said
from fairfed.sites.sight import Sight
from fairfed.system import simulation_of
from fairfed.systems.classifier.experiment import _rejected, _together
from generators.plan import split_evenly
from semantic.errors import InputError
from tests.fairfed.runs import place_of

Small = Callable[..., Config]


def test_the_bundled_models_know_the_bundled_data() -> None:
    seen = place_of(parse_config("", "default")).sight
    assert (seen.hidden, seen.refusal, seen.notes, seen.warnings) == ((), "", (), ())
    classes, tint = seen.readings
    assert (classes.what, tint.what) == ("class", "tint")
    assert classes.low > 0.5
    assert tint.low > 0.8


def test_classes_that_clip_reads_by_chance_are_refused_before_the_run(small: Small) -> None:
    with pytest.raises(InputError, match=r"does not tell the classes apart.*invert"):
        check_models(place_of(small("semantic.allow_unknown=false")))


def test_a_baseline_of_clip_is_checked_by_its_words(small: Small) -> None:
    arms = "arms=[{name='Zero', system='zero-shot'}]"
    check_models(place_of(small(arms, "semantic.allow_unknown=false")))
    renamed = "data.classes=['bag', 'dress', 'coat', 'melanoma']"
    with pytest.raises(InputError, match="class 'melanoma'"):
        check_models(place_of(small(arms, renamed, "semantic.allow_unknown=false")))
    warned = said(place_of(small(arms, renamed)))["warnings"]
    assert "melanoma" in warned[0]


def test_domain_matching_by_an_autoencoder_that_knows_no_such_images_is_refused(
    small: Small,
) -> None:
    with pytest.raises(InputError, match=r"it errs by \d+ of 255.*domain_matching = false"):
        check_rendering(simulation_of(small("synthesis.autoencode=0.5")))
    plain = small("synthesis.autoencode=0.5", "synthesis.domain_matching=false")
    check_rendering(simulation_of(plain))


def test_what_is_allowed_is_said_in_terminal_and_report(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said(place_of(small()))
    assert found["warnings"]
    assert found["remarks"] == []
    print_said(Console(width=200), found)
    assert "semantic.allow_unknown: " in capsys.readouterr().out


def test_hidden_groups_are_planned_and_described_as_one(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairfed.sites.workplace.look", lambda *given: Sight(hidden=(0,)))
    place = place_of(small("synthesis.cell_target=10", "name=hidden"))
    # Twenty bags of one sex are bags enough; six dresses lack four; coats lack altogether.
    real = np.array([[20, 0], [0, 0], [3, 3]])
    assert place.plan(real, False).tolist() == [[0, 0], [4, 4], [2, 2]]
    maker = place.synthesiser
    prompts = {maker.request(0, group, 0).prompt for group in (0, 1)}
    assert prompts == {"a photo of a bag"}
    assert maker.request(0, 0, 0).seed != maker.request(0, 1, 0).seed


def test_what_joined_groups_get_is_divided_evenly() -> None:
    wanted = np.array([[5, 1], [0, 2]])
    assert split_evenly(wanted, np.array([0, 1, 0])).tolist() == [[3, 1, 2], [0, 2, 0]]


def test_rejections_of_a_shared_pool_count_for_each_client_and_once_in_all() -> None:
    answers = [
        {"rejected-margin": [3, 0, 0, 1], "generated": 4},
        {"rejected-margin": [3, 0, 0, 0], "rejected-blank": [0, 2, 0, 0]},
    ]
    own = [_rejected(answer, (2, 2)) for answer in answers]
    assert [int(found["margin"].sum()) for found in own] == [4, 3]
    assert _together(own, shared=True) == {"blank": 2, "margin": 4}
    assert _together(own, shared=False) == {"blank": 2, "margin": 7}


def test_rejections_are_shown_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    clients = [{"requested": [[6, 4]], "accepted": [[1, 0]]}]
    print_rejections(Console(width=200), {"clients": clients, "rejected": {"margin": 19}})
    shown = capsys.readouterr().out
    assert "19 rejected (19 margin)" in shown
    assert "9 of 10 places stayed empty" in shown
