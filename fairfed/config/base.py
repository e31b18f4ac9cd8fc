"""What all sections of the configuration have in common."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic_core import core_schema

from semantic.own_code import OWN

Strings = Annotated[tuple[str, ...], Field(strict=False)]
"""A TOML array of strings; `strict` would refuse its list where a tuple is declared."""
Pair = Annotated[tuple[float, float], Field(strict=False)]
"""A TOML array of two numbers."""
Device = Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
"""torch's name of where to compute; `auto`: CUDA where there is any."""


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = [value for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is there twice; name each once")
    return values


Once = AfterValidator(_distinct)
"""Of an array: no value twice."""


@dataclass(frozen=True)
class OneOf:
    """Of a text: one of some names, or something of the user's own as `module:object`.

    It is imported where it is used, not here.
    """

    names: tuple[str, ...] = ()  # what there is
    own: str = "Class"  # what the user's own is: a class, a function, an object
    packages: tuple[str, ...] = ()  # whose own go by `package:NAME`

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "enum": [*self.names, f"module:{self.own}"]}

    def _check(self, value: str) -> str:
        package, _, called = value.partition(":")
        if package in self.packages and called:
            return value
        if value not in self.names and not OWN.fullmatch(value):
            known = f"one of {', '.join(map(repr, self.names))}, or " if self.names else ""
            known += "".join(f"'{package}:NAME', or " for package in self.packages)
            a = "an" if self.own[0] in "aeiou" else "a"
            raise ValueError(
                f"expected {known}{a} {self.own.lower()} of your own as 'module:{self.own}', got "
                f"{value!r}"
            )
        return value


class Section(BaseModel):
    """A table of the configuration: no unknown keys, no silent conversions, no later changes.

    Numbers are finite.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


def tabled(section: type[S], title: str) -> S:
    """A field that is a table of its own, with defaults of its own."""
    field: S = Field(default_factory=section, description=f"See `[{title}]`.")
    return field


def required(section: S | None) -> S:
    """A section that every configuration of its system has, and no other."""
    if section is None:
        raise TypeError("the configuration has no section of the system that it is read for")
    return section


def section_of(annotation: Any) -> type[Section] | None:
    """The section that a field's annotation names, also as `Section | None`; None for others."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not NoneType]
    section = kinds[0] if len(kinds) == 1 else None
    return section if isinstance(section, type) and issubclass(section, Section) else None
