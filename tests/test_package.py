"""The package: light to import, complete when built, arrows in one direction, versions in range."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import fairfed

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split(";")[0].strip() for line in lines if line and not line.startswith("#")]
    return {name.lower().replace("_", "-"): pin for name, pin in (p.split("==") for p in pins)}


def test_the_version_is_stated_once_and_the_same() -> None:
    assert fairfed.__version__ == PROJECT["project"]["version"] == metadata.version("fairfed")


@pytest.mark.parametrize("package", ["fairfed", "generators", "semantic", "evaluation"])
def test_importing_a_package_is_light(package: str) -> None:
    heavy = "{'torch', 'flwr', 'ray', 'diffusers', 'open_clip', 'matplotlib', 'datasets'}"
    code = f"import sys, {package}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_every_dependency_has_an_exact_version_in_its_range() -> None:
    pins = constraints()
    listed = list(PROJECT["project"]["dependencies"])
    for extra in PROJECT["project"]["optional-dependencies"].values():
        listed += [item for item in extra if not item.startswith("fairfed")]
    for item in listed:
        requirement = Requirement(item)
        pin = pins[requirement.name.lower().replace("_", "-")]
        assert requirement.specifier.contains(pin), item


def test_constraints_name_versions_only() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = re.compile(r'[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*( ; sys_platform == "linux")?')
    for line in text.splitlines():
        assert line.startswith("#") or pinned.fullmatch(line), line


def test_the_bundled_data_is_small_and_licensed() -> None:
    bundled = ROOT / "fairfed" / "bundled"
    assert (bundled / "fashion_mnist.npz").stat().st_size <= 5_000_000
    assert "MIT License" in (bundled / "LICENSE-fashion-mnist.txt").read_text(encoding="utf-8")
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_flower_app_names_modules_and_is_accepted_by_flower() -> None:
    from flwr.common.config import validate_fields_in_config

    valid, errors, warnings = validate_fields_in_config(PROJECT)
    assert (valid, errors, warnings) == (True, [], [])
    components = PROJECT["tool"]["flwr"]["app"]["components"]
    assert components == {"serverapp": "fairfed.server:app", "clientapp": "fairfed.client:app"}


def test_the_arrows_between_the_packages_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
