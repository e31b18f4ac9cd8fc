"""What a federation agrees on, and what of a configuration no site is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairfed.config import Config, FederationConfig, LabelSpace, load_config, parse_config
from fairfed.config.federation import agreed
from fairfed.data.tables.fit import named_columns
from fairfed.data.tables.table import load_table
from fairfed.presets import preset_names
from fairfed.sites.simulated import attribute_rows
from fairfed.system import simulated_study
from tests.fairfed import configurations
from tests.fairfed.data.tables.loans import loans

PLACES = re.compile(r"\b(paths?|files?|folders?|director|address|urls?|https?|hub|hosts?|ports?)")
"""Words for where something is."""
SOURCES = re.compile(r"\bsources?\b")
CHOICES = {
    "InversionConfig.source": ("clients", "aggregate"),
    "FairnessConfig.probe_source": ("synthetic", "validation"),
}
"""Fields called a source of which these are all values."""
SAID = {
    "SynthesisSettings.balance": "source (real or synthetic)",
    "InversionConfig.per_class": "of each that the source knows",
    "PeersConfig.seeded_noise": "refused unless `data.source` is `bundled`",
}
"""Descriptions that speak of a source, and what they say of it."""
LABELS = LabelSpace(classes=("no", "yes"), sensitive={"sex": ("f", "m")})


def _sections() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every section of the study's schema, the study itself first."""
    schema = FederationConfig.model_json_schema()
    yield "FederationConfig", schema
    yield from schema["$defs"].items()


def _fields() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{section}.{name}", field)
        for section, schema in _sections()
        for name, field in schema.get("properties", {}).items()
    ]


def test_the_walk_reaches_every_section() -> None:
    names = {name for name, _ in _sections()}
    assert {"LabelSpace", "TableConfig", "TrainConfig", "Arm", "ZslSettings", "PeersConfig"} < names
    assert not {"DataConfig", "PartitionConfig", "SiteConfig", "GeneratorConfig"} & names
    assert len(_fields()) > 100


def test_no_field_of_a_study_says_where_anything_is() -> None:
    for name, field in _fields():
        own = name.split(".")[1].replace("_", " ")
        said = str(field.get("description", "")).replace(SAID.get(name, "-"), "")
        assert said, f"{name} is not described"
        assert not PLACES.search(f"{own}: {said}".lower()), name
        if name in CHOICES:
            assert tuple(field["enum"]) == CHOICES[name], name
        else:
            assert not SOURCES.search(f"{own}: {said}".lower()), name
        assert "'format'" not in str(field), name  # as of a Path, or an address


def _open_texts(schema: Any, where: str) -> Iterator[str]:
    """Fields that may hold any text."""
    if isinstance(schema, dict):
        if schema.get("type") == "string" and not {"enum", "const", "pattern"} & set(schema):
            yield where
        for key in ("properties", "$defs"):
            for name, own in schema.get(key, {}).items():
                yield from _open_texts(own, f"{where}.{name}" if key == "properties" else name)
        for key in ("items", "additionalProperties", "anyOf", "oneOf", "prefixItems"):
            yield from _open_texts(schema.get(key), where)
    elif isinstance(schema, list):
        for own in schema:
            yield from _open_texts(own, where)


FREE = [
    "AdaptConfig.context", "Arm.name", "ArrivalConfig.class_name", "AttributeRows.attributes",
    "AttributeRows.classes", "AttributeRows.prompts", "ConditioningSettings.unseen",
    "CurationSettings.checks",
    "FairnessConfig.metric", "FederationConfig.fingerprints", "FederationConfig.name",
    "GeneratorSettings.negative", "GeneratorSettings.scheduler", "LabelSpace.classes",
    "LabelSpace.found_groups", "LabelSpace.sensitive", "PrototypeRows.classes",
    "SemanticSettings.class_prompts", "SemanticSettings.group_prompts",
    "SemanticSettings.templates",
    "SharedConfig.missing", "TableConfig.categorical", "TableConfig.categories",
    "TableConfig.drop", "TableConfig.groups", "TableConfig.missing", "TableConfig.numeric",
    "TableConfig.positive", "ZslSettings.unseen", "ZslSettings.validation",
]  # fmt: skip
"""Fields that may hold any text: names, words, hashes."""


def test_free_texts_are_names_words_and_hashes() -> None:
    """A new field that holds any text is added here once somebody has thought about it."""
    found = sorted(set(_open_texts(FederationConfig.model_json_schema(), "FederationConfig")))
    assert found == FREE


MARK = "swordfish"


def _secretive(folder: Path) -> Config:
    """A configuration with a mark in everything that says where something is."""
    table = folder / f"{MARK}.csv"
    table.write_text("class,prompt,long\nno,no,0\nyes,yes,1\n")
    return parse_config(
        f"""
        out = "/srv/{MARK}/run"
        [data]
        source = "/srv/{MARK}/images"
        [semantic]
        encoder = "/srv/{MARK}/clip"
        attributes = "{table}"
        [generator]
        model = "/srv/{MARK}/sd15"
        lora = ["/srv/{MARK}/style.safetensors:0.5"]
        embeddings = ["/srv/{MARK}/words.pt=<word>"]
        [synthesis]
        store = "/srv/{MARK}/store"
        """,
        "x",
    )


def test_a_study_holds_nothing_of_where_things_are(tmp_path: Path) -> None:
    config = _secretive(tmp_path)
    assert config.to_toml().count(MARK) == 8
    told = agreed(config, LABELS, attribute_rows(config), {})
    assert told.attributes is not None
    assert told.attributes.prompts == ("no", "yes")
    for text in (told.to_json(), repr(told)):
        assert MARK not in text
        assert "/srv" not in text
    zsl = parse_config(f'[zsl]\nfeatures = "/srv/{MARK}/awa2"\nvariants = ["ska"]', "x")
    assert MARK not in agreed(zsl, LABELS, None, {}).to_json()


def test_what_is_of_a_machine_is_refused_in_a_study() -> None:
    told = agreed(Config(), LABELS, None, {}).model_dump(mode="json")
    for section, field in (("generator", "model"), ("semantic", "encoder"), ("synthesis", "store")):
        with pytest.raises(ValueError, match=f"{section}.{field}"):
            FederationConfig.model_validate({**told, section: {field: "/srv/x"}})
    for field in ("data", "out", "engine", "workers", "partition"):
        with pytest.raises(ValueError, match=field):
            FederationConfig.model_validate({**told, field: "x"})


def _again(told: FederationConfig) -> FederationConfig:
    return FederationConfig.model_validate_json(told.to_json())


@pytest.mark.parametrize("preset", preset_names())
def test_a_study_of_a_preset_survives_a_message(preset: str) -> None:
    config = load_config(None, (), preset)
    told = agreed(config, LABELS, attribute_rows(config), {"encoder": "ab" * 32})
    assert _again(told) == told
    assert {arm.slug for arm in told.arms} == {arm.slug for arm in config.arms}


def test_a_simulations_study_survives_a_message() -> None:
    study = simulated_study(parse_config("", "default"))
    assert FederationConfig.model_validate_json(study.text) == study.told
    assert len(study.told.labels.classes) == 10
    assert study.told.labels.sensitive == {"tint": ("grey", "red", "green", "blue")}


def test_a_study_of_a_table_survives_a_message(tmp_path: Path) -> None:
    loans().to_csv(tmp_path / "people.csv", index=False)
    text = configurations.table(tmp_path, tmp_path / "people.csv")
    fitted = {
        "data.table.moments": "{age=[40, 0.1], income=[30, 10]}",
        "data.table.categories": '{town=["A", "B"]}',
    }
    for overrides in ((), [f"{name}={value}" for name, value in fitted.items()]):
        config = parse_config(text, "people.toml", overrides)
        told = simulated_study(config).told
        assert _again(told) == told
        assert told.table == named_columns(config, load_table(config)).data.table
        assert told.table.numeric == ("age", "income")
