"""Sites with folders of their own, and a study of them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fairfed.client import client_app
from fairfed.config import Config, parse_config
from fairfed.config.labels import LabelSpace
from fairfed.config.site import SiteConfig, load_site
from fairfed.engines.inprocess import run_in_process
from fairfed.server import server_app
from fairfed.sites.local import LocalSites
from fairfed.sites.study import study_of
from tests.fairfed.conftest import CLASSES, CLIENTS, GROUPS

Hospitals = Callable[..., list[SiteConfig]]


@pytest.fixture
def hospitals(image_folder: Path, tiny_pipeline: Path, tmp_path: Path) -> Hospitals:
    """The three clients of the small federation, each with a folder and a site.toml of its own."""

    def make(**extra: str) -> list[SiteConfig]:
        found = []
        for name in CLIENTS:
            folder = tmp_path / "sites" / name
            (folder / "images").mkdir(parents=True, exist_ok=True)
            with (image_folder / "metadata.csv").open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["site"] == name]
            for row in rows:
                shutil.copy(image_folder / row["file_name"], folder / "images")
            with (folder / "images" / "metadata.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["file_name", "dx", "geschlecht", "split"])
                writer.writerows(
                    (row["file_name"], row["label"].upper(), row["sex"], row["split"])
                    for row in rows
                )
            mapped = ", ".join(f"{label.upper()} = {json.dumps(label)}" for label in CLASSES)
            (folder / "site.toml").write_text(
                f'name = "{name}"\n[data]\nsource = "images"\nlabel = "dx"\n'
                f'sensitive = {{ sex = "geschlecht" }}\nlabels = {{ {mapped} }}\n'
                f"[models]\ngenerator = {json.dumps(str(tiny_pipeline))}\n{extra.get(name, '')}"
            )
            found.append(load_site(folder / "site.toml"))
        return found

    return make


def study(config: Config, out: Path) -> Config:
    """The small federation's configuration as a study of sites."""
    labels = LabelSpace(
        classes=CLASSES, sensitive={"sex": GROUPS}, image_size=16, found_groups=GROUPS
    )
    arms = tuple(arm for arm in config.arms if not arm.iid)
    chosen = config.model_copy(update={"federation": labels, "arms": arms, "out": str(out)})
    return parse_config(chosen.to_toml(), "study")


def play_here(config: Config, sites: list[SiteConfig]) -> None:
    """Run a study whose sites are all in this process."""
    server = server_app(study_of(config, None), report=False)
    run_in_process(server, client_app(LocalSites(sites)), len(sites))
