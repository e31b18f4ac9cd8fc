"""What all sections of the configuration have in common."""

from __future__ import annotations

from collections import Counter
from types import NoneType
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Strings = Annotated[tuple[str, ...], Field(strict=False)]
"""A TOML array of strings; `strict` would refuse its list where a tuple is declared."""
Pair = Annotated[tuple[float, float], Field(strict=False)]
"""A TOML array of two numbers."""


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is there twice; name each once")
    return values


Once = AfterValidator(_distinct)
"""Of an array: no value twice."""


class Section(BaseModel):
    """A table of the configuration: no unknown keys, no silent conversions, no later changes.

    Numbers are finite.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def section_of(annotation: Any) -> type[Section] | None:
    """The section that a field's annotation names, also as `Section | None`; None for others."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not NoneType]
    section = kinds[0] if len(kinds) == 1 else None
    return section if isinstance(section, type) and issubclass(section, Section) else None
