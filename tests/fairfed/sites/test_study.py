"""What a server goes by, and what real sites cannot do because nobody has all data."""

from __future__ import annotations

import pytest

from fairfed.config import Config, LabelSpace, parse_config
from fairfed.sites.study import SERVER, Study, study_of
from fairfed.system import system_of
from fairfed.systems.classifier.probe import validation_rows
from semantic.errors import InputError

FEDERATION = """
[federation]
classes = ["T-shirt/top", "Dress"]
sensitive = { tint = ["blue", "red"] }
"""
TABLE = """
model = "mlp"
[federation]
kind = "table"
classes = ["no", "yes"]
sensitive = { sex = ["f", "m"] }
[fairness]
probe_source = "validation"
"""


def _real(text: str, *overrides: str) -> Study:
    """A study over real sites."""
    return study_of(parse_config(text, "x.toml", overrides), None)


def test_a_study_of_real_sites_is_of_the_label_space_alone() -> None:
    study = _real(FEDERATION)
    assert study.told.labels.groups == ("blue", "red", "missing")
    assert study.simulation is None
    assert study.server == SERVER
    assert study.place.labels == study.told.labels
    assert study.request()["study"] == study.text
    assert study.request(study.told.arms[0])["arm"] == "fedavg"


def test_real_sites_without_a_label_space_are_refused() -> None:
    with pytest.raises(InputError, match=r"federation: missing.*need \[federation\]"):
        study_of(Config(), None)


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ('{name="Even", iid=true}', r"arm 'Even' \(iid\)"),
        ('{name="All", system="centralised"}', r"arm 'All' \(centralised\)"),
    ],
)
def test_an_arm_that_needs_all_data_is_refused_by_name(arm: str, said: str) -> None:
    study = _real(FEDERATION, f"arms=[{arm}]")
    with pytest.raises(InputError, match=f"{said} needs the data of all sites in one place"):
        system_of(study.config).check(study)


def test_validation_rows_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="probe_source = 'validation' needs the data of all sites"):
        validation_rows(_real(TABLE))


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ("[zsl]", r"\[zsl\]"),
        ("[shared]\nmissing = ['Dress']", r"\[shared\]"),
        ("[peers]\nunseen = 1\ndrift_round = 2", "peers.drift_round"),
    ],
)
def test_systems_that_need_all_data_are_refused_by_name(section: str, what: str) -> None:
    study = _real(f"min_sites = 4\n{FEDERATION}{section}\n")
    with pytest.raises(InputError, match=f"{what} needs the data of all sites in one place"):
        system_of(study.config).check(study)


def test_what_was_fitted_is_told_and_the_rest_stays() -> None:
    study = _real(FEDERATION)
    told = study.told.model_copy(update={"fingerprints": {"encoder": "ab"}})
    more = study.with_told(told)
    assert more.text == told.to_json() != study.text
    assert more.config is study.config
    assert isinstance(more.told.labels, LabelSpace)
