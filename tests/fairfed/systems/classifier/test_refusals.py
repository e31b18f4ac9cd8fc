"""Systems that make no sense with other settings are refused with the reason."""

from __future__ import annotations

import pytest

from fairfed.config import parse_config
from semantic.errors import InputError

ARM = "[[arms]]\nname = 'A'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ARM + "system = 'local'\nrule = 'fairfed'", "averages no clients"),
        (ARM + "system = 'local'\naugment = true", "does not go with augment"),
        (ARM + "system = 'zero-shot'\ncontrol_variates = true", "go with control_variates"),
        (ARM + "system = 'synthetic'\npersonal = 1.0", "does not go with personal"),
        (ARM + "server_rounds = 3", "of system 'one-shot' alone"),
        (ARM + "system = 'one-shot'\nrule = 'afl'", "averages no clients"),
        (ARM + "system = 'synthetic'\ndebias = 'reweighing'", "does not go with debias"),
        (ARM + "system = 'zero-shot'\naugmentation = 'mixup'", "'zero-shot' trains nothing"),
        (ARM + "control_variates = true\naggregator = 'krum'", "drops clients"),
        ("fraction = 0.5\n" + ARM + "system = 'centralised'", "set fraction = 1"),
        ("model = 'clip-head'\n" + ARM + "augmentation = 'randaugment'", "takes none"),
        (
            "model = 'mlp'\n[data]\nsource = 'adult'\n" + ARM + "system = 'synthetic'",
            "is a table; choose another system",
        ),
    ],
)
def test_misfits_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_config(text, "x.toml")


def test_what_fits_is_accepted() -> None:
    text = ARM + "system = 'one-shot'\nserver_rounds = 3\nrule = 'fairfed'"
    arm = parse_config(text, "x.toml").arms[0]
    assert arm.method == "fairfed, one-shot"
    later = ARM + "system = 'one-shot'\nserver_rounds = 3\ndebias = 'reweighing'"
    assert parse_config(later, "x.toml").arms[0].debias == "reweighing"
    tables = "model = 'mlp'\n[data]\nsource = 'adult'\n" + ARM
    assert parse_config(tables + "system = 'local'", "x.toml").arms[0].method == "local"
    assert parse_config(tables + "augmentation = 'mixup'", "x").arms[0].method == "fedavg, mixup"
