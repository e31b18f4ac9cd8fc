"""The section that asks for zero-shot learning, and the preset."""

from __future__ import annotations

import pytest

from fairfed.config import Config, load_config, parse_config
from fairfed.config.base import section_of
from fairfed.config.zsl import ZslConfig
from fairfed.system import kind_of, system_of
from fairfed.systems.zsl import task
from fairfed.systems.zsl.variants import VARIANTS, variant_of, variants_of
from semantic.errors import InputError


def test_only_the_section_asks_for_it() -> None:
    assert kind_of(Config()) is None
    assert "zsl" not in Config().to_toml()
    asked = parse_config("[zsl]", "x.toml")
    assert kind_of(asked) == "zsl"
    assert system_of(asked) is task
    assert parse_config(asked.to_toml(), "again") == asked
    assert section_of(ZslConfig | None) is ZslConfig
    assert section_of(int | None) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hiden = 3", "zsl.hiden: unknown setting; did you mean 'hidden'"),
        ("variants = ['skaa']", r"zsl.variants\[0\]: expected 'ska', 'text'"),
        ("unseen = ['a', 'b']\nvalidation = ['b']", "unseen and validation both name 'b'"),
    ],
)
def test_mistakes_name_the_setting(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_config(f"[zsl]\n{text}", "x.toml")


def test_variants_are_found_by_what_a_message_calls_them() -> None:
    assert [variant_of(variant.arm.slug) for variant in VARIANTS.values()] == [*VARIANTS.values()]
    twice = ZslConfig(variants=("text", "ska", "text"))
    assert [variant.key for variant in variants_of(twice)] == ["text", "ska"]


def test_the_preset_asks_for_all_variants() -> None:
    config = load_config(None, preset="fedzsl")
    assert config.zsl is not None
    assert [variant.key for variant in variants_of(config.zsl)] == [*VARIANTS]
    assert config.partition.clients == 3
