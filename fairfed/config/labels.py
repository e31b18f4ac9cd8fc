"""The label space: what a federation calls its classes and its groups, and nothing of its data."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fairfed.config.base import Once, Section, Strings
from semantic.errors import InputError
from semantic.naming import CROSSED, UNKNOWN

MISSING = UNKNOWN
"""Group of a row whose sensitive value is absent."""
ALL = "all"
"""The only group where there is no sensitive feature."""


class LabelSpace(Section):
    """Classes, sensitive columns and their values: agreed on once, and the same at every site.

    A site maps its own names to these (`fairfed.config.site`); positions are decided here alone.
    """

    kind: Literal["images", "table"] = Field(
        "images", description="What a row is: an image, or the columns of a table."
    )
    classes: Annotated[Strings, Once] = Field(
        min_length=1,
        description="The classes. Their order is what models count by. A site may hold some of "
        "them.",
    )
    sensitive: dict[str, Annotated[Strings, Once]] = Field(
        default_factory=dict,
        description="Sensitive columns, and the values of each, in order, e.g. "
        '`{ sex = ["female", "male"] }`. Several are crossed (`a × b`). A row without a value, or '
        "a site without the column, counts as `missing`. Empty: one group, `all`.",
    )
    image_size: int = Field(
        32, ge=8, le=1024, description="Side, in pixels, that images are brought to."
    )
    found_groups: Annotated[Strings, Once] = Field(
        (),
        description="The groups of data that are at one place, as found there, in order. Empty: "
        "all crossings of the values of `sensitive` and `missing`.",
    )

    @model_validator(mode="after")
    def _plain_names(self) -> LabelSpace:
        for name in self.classes:
            refuse_crossed(name, "the class")
        for column, values in self.sensitive.items():
            if not values and not self.found_groups:
                raise ValueError(f"sensitive.{column}: no values; name them, or drop the column")
            if MISSING in values:
                raise ValueError(
                    f"sensitive.{column}: {MISSING!r} is the group of rows without a value, and "
                    "there always; leave it out"
                )
            for value in values:
                refuse_crossed(value, f"sensitive.{column}: the value")
        strange = [name for name in self.found_groups if name not in self._crossings]
        if strange:
            raise ValueError(f"found_groups: {strange[0]!r} is no crossing of the values")
        return self

    @property
    def _crossings(self) -> tuple[str, ...]:
        if not self.sensitive:
            return (ALL,)
        values = ((*own, MISSING) for own in self.sensitive.values())
        return tuple(map(CROSSED.join, itertools.product(*values)))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups, in the order of their positions."""
        return self.found_groups or self._crossings

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of groups and of classes."""
        return len(self.groups), len(self.classes)

    def group(self, values: Mapping[str, str | None]) -> str:
        """The group of a row with these values; a column that is absent or None is `MISSING`."""
        return CROSSED.join(values.get(name) or MISSING for name in self.sensitive) or ALL


def found_space(
    classes: Sequence[str],
    groups: Sequence[str],
    sensitive: Sequence[str],
    kind: Literal["images", "table"] = "images",
    image_size: int = 32,
) -> LabelSpace:
    """The label space of data that are at one place: its groups are those that there are.

    `groups` crosses the values of the `sensitive` columns.
    """
    parts = [group.split(CROSSED) for group in groups] if sensitive else []
    values = {
        name: tuple(dict.fromkeys(part[place] for part in parts if part[place] != MISSING))
        for place, name in enumerate(sensitive)
    }
    return LabelSpace(
        kind=kind,
        classes=tuple(classes),
        sensitive=values,
        image_size=image_size,
        found_groups=tuple(groups),
    )


def refuse_crossed(name: str, what: str) -> None:
    """Refuse a name that reads as several: ``a × b`` is the group of a and of b."""
    if CROSSED in f" {name} ":
        plain = name.replace(CROSSED.strip(), "x")
        raise InputError(
            f"{what}, {name!r}, has {CROSSED.strip()!r} between blanks, which joins the values of "
            f"crossed groups; write it otherwise, as {plain!r}"
        )
