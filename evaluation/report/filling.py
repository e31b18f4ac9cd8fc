"""Templates, as all reports read and fill them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def template(name: str, *packages: str, escape: bool, **filters: Callable[..., Any]) -> Any:
    """A template of the first of some packages that has it, and filters for its values."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment.get_template(name)
