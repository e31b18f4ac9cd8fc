"""`site.toml`: what it says, where its paths start, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.config.data import DataConfig
from fairfed.config.site import SiteConfig, load_site
from semantic.errors import InputError

WHOLE = """
name = "north"
[data]
source = "images"
label = "diagnose"
sensitive = { sex = "gender" }
labels = { MEL = "melanoma", "L82.1" = "keratosis", 3 = "nevus", other = "" }
groups.sex = { w = "female", m = "male" }
[models]
encoder = "ViT-B-32/laion2b_s34b_b79k"
generator = "./sd15"
lora = ["style.safetensors:0.5"]
embeddings = ["mole.pt=<mole>", "/shared/skin.pt"]
"""


SiteOf = Callable[[str], SiteConfig]


@pytest.fixture
def site_of(tmp_path: Path) -> SiteOf:
    def read(text: str) -> SiteConfig:
        path = tmp_path / "site.toml"
        path.write_text(text, encoding="utf-8")
        return load_site(path)

    return read


def test_paths_start_at_the_folder_of_the_file(site_of: SiteOf, tmp_path: Path) -> None:
    site = site_of(WHOLE)
    assert site.data.source == str(tmp_path / "images")
    assert site.data.labels["3"] == "nevus"
    assert site.models.encoder == "ViT-B-32/laion2b_s34b_b79k"
    assert site.models.generator == str(tmp_path / "sd15")
    assert site.models.lora == (f"{tmp_path}/style.safetensors:0.5",)
    assert site.models.embeddings == (f"{tmp_path}/mole.pt=<mole>", "/shared/skin.pt")
    assert site.state.directory == str(tmp_path / "state")


def test_the_name_of_a_dataset_or_model_is_a_path_where_there_is_one(
    site_of: SiteOf, tmp_path: Path
) -> None:
    text = 'name = "n"\n[data]\nsource = "hf:me/skin"\n[models]\nencoder = "clip"'
    site = site_of(text)
    assert (site.data.source, site.models.encoder) == ("hf:me/skin", "clip")
    (tmp_path / "me" / "skin").mkdir(parents=True)
    (tmp_path / "clip").mkdir()
    site = site_of(text)
    assert site.data.source == f"hf:{tmp_path}/me/skin"
    assert site.models.encoder == str(tmp_path / "clip")


def test_a_known_table_brings_its_columns(site_of: SiteOf) -> None:
    site = site_of('name = "n"\n[data]\nsource = "adult"\ndirectory = "uci"')
    assert site.data.sensitive == {"sex": "sex"}
    assert site.data.label == "income"


def test_a_site_reads_as_a_run_does() -> None:
    """What both describe they describe alike, so that a site's rows are a simulation's."""
    own = {"source", "sensitive"}
    common = (SiteConfig.model_fields["data"].annotation.model_fields.keys()
              & DataConfig.model_fields.keys()) - own  # fmt: skip
    site = SiteConfig.model_validate({"name": "n", "data": {"source": "x"}}).data
    assert {"label", "split", "missing", "table", "unreadable"} <= common
    assert all(getattr(site, name) == getattr(DataConfig(), name) for name in common)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[data]\nsource = "x"', "name: missing; the file needs one"),
        ('name = "n"\n[data]', r"data.source: missing; \[data\] needs one"),
        ('name = "n o"\n[data]\nsource = "x"', "'n o': expected letters, digits, - and _ alone"),
        ('name = "n"\n[data]\nsource = "bundled"', "name the site's own folder"),
        ('name = "n"\n[data]\nsource = "x"\nclient = "c"', "data.client: unknown setting"),
        ('name = "n"\n[data]\nsource = "x"\nlabls = {}', "did you mean 'labels'"),
        ('name = "n"\n[data]\nsource = "x"\ngroups.sex = {}', "sensitive = { sex = \"COLUMN\" }"),
        ('name = "n"\n[data]\nsource = "x"\nsensitive = { a = "c", b = "c" }', "both the column"),
        ('name = "n"\n[data]\nsource = "x"\ncolumns = { a = "c" }', "the source is none"),
        ('name = "n"\n[data]\nsource = "x"\n[policy]\nactions = ["dance"]', r"actions\[0\]: exp"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(site_of: SiteOf, text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        site_of(text)
