"""An invitation is read as it was written, and refused where it was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairfed.deployment.certificates import Pair
from fairfed.deployment.invitation import Invitation, read_invitation, text_fingerprint
from fairfed.deployment.programs import versions
from semantic.errors import InputError
from tests.fairfed.deployment.conftest import STUDY

ODD = STUDY + "# ''' \"\"\" \\ größer\n"


def written(path: Path, signer: Pair, study: str = ODD, **changed: str) -> Invitation:
    told = {
        "name": "north", "address": "hub.example.org:443", "study": study, **versions(),
        "fingerprint": text_fingerprint(study), "authority": signer.certificate.decode(),
    }  # fmt: skip
    made = Invitation.model_construct(**(told | changed))  # type: ignore[arg-type]
    path.write_text(made.to_toml(), encoding="utf-8")
    return made


def test_it_is_read_as_it_was_written(tmp_path: Path, authority: Pair) -> None:
    made = written(tmp_path / "i.toml", authority)
    read = read_invitation(tmp_path / "i.toml")
    assert read.model_dump(exclude_defaults=True) == made.model_dump(exclude_defaults=True)
    assert read.study == ODD
    assert read.config().name == "gait"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"fingerprint": "0" * 64}, "the file was changed on its way"),
        ({"authority": "-----BEGIN NOTHING-----"}, "authority: no certificate in PEM"),
        ({"address": "hub.example.org"}, "expected HOST:PORT"),
        ({"address": "hub.example.org:99999"}, "expected HOST:PORT"),
        ({"name": "../north"}, "expected letters, digits"),
    ],
)
def test_a_damaged_one_is_refused(
    tmp_path: Path, authority: Pair, changed: dict[str, str], told: str
) -> None:
    written(tmp_path / "i.toml", authority, **changed)
    with pytest.raises(InputError, match=told):
        read_invitation(tmp_path / "i.toml")
