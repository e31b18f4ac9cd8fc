"""Names of settings before 0.5 are read for one more version, and a notice says what to write."""

from __future__ import annotations

import pytest

from fairfed.config import PipelineConfig, parse_config, parse_model
from semantic.errors import InputError

FORMER = """
[augment]
per_class = 7
margin = 0.5
max_tries = 3.0
unseen = ["Dress"]
epsilon = 2.0
minimum = 9
"""


def test_a_runs_former_names_are_read(caplog: pytest.LogCaptureFixture) -> None:
    found = parse_config(FORMER, "a file", ["augment.pool=5"])
    assert (found.synthesis.per_class, found.synthesis.pool) == (7, 5)
    assert (found.curation.margin, found.curation.max_tries) == (0.5, 3.0)
    how = found.conditioning
    assert (how.unseen, how.epsilon, how.minimum) == (("Dress",), 2.0, 9)
    assert "augment.margin is now called curation.margin" in caplog.text
    assert "augment is now called synthesis" in caplog.text


def test_an_augmentations_former_name_is_read(caplog: pytest.LogCaptureFixture) -> None:
    text = '[conditioning]\nunnamed = ["Dress"]\n'
    assert parse_model(PipelineConfig, text, "a file").conditioning.unseen == ("Dress",)
    assert "conditioning.unnamed is now called conditioning.unseen" in caplog.text


def test_present_names_win_and_cause_no_notice(caplog: pytest.LogCaptureFixture) -> None:
    both = "[augment]\nper_class = 7\n[synthesis]\nper_class = 8\n"
    assert parse_config(both, "a file").synthesis.per_class == 8
    caplog.clear()
    assert parse_config("[synthesis]\nper_class = 8\n", "a file").synthesis.per_class == 8
    assert not caplog.text
    with pytest.raises(InputError, match="synthesis.size: unknown setting"):
        parse_config("[augment]\nsize = 8\n", "a file")
