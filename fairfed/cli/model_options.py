"""Options of a command made from the fields of configuration models."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

import click
from pydantic.fields import FieldInfo
from typer.core import TyperCommand, TyperOption

from fairfed.config.base import Section

FLAGS = {"arms": "--arm"}
"""Options that are not called as their settings."""
NUMBERS = {int: click.INT, float: click.FLOAT}


class ModelCommand(TyperCommand):
    """A command with options beside its parameters; what they are given is its `ctx.obj`."""

    settings: ClassVar[Sequence[TyperOption]]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """All parameters, the settings last."""
        return [*super().get_params(ctx), *self.settings]

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command with its own parameters alone."""
        ctx.obj = {option.name: ctx.params.pop(str(option.name)) for option in self.settings}
        return super().invoke(ctx)


def with_options(*models: type[Section], one_text: Collection[str] = ()) -> type[ModelCommand]:
    """The class of a command that has an option for each setting of some models.

    The first line of a model's docstring heads its options in the help, and its fields'
    descriptions are their help. Settings of several values are given in one text where `one_text`
    names them; other options are given again.
    """
    settings = [
        _option(name, field, str(model.__doc__).splitlines()[0], one_text)
        for model in models
        for name, field in model.model_fields.items()
    ]
    return type("ModelCommand", (ModelCommand,), {"settings": settings})


def _option(name: str, field: FieldInfo, heading: str, one_text: Collection[str]) -> TyperOption:
    """The option of a setting. What is not given is None, or nothing of what may come again."""
    kinds = set(_kinds(field.annotation))
    default = field.get_default(call_default_factory=True)
    return TyperOption(
        param_decls=[name, FLAGS.get(name, f"--{name.replace('_', '-')}")],
        type=next((own for kind, own in NUMBERS.items() if kinds == {kind}), None),
        is_flag=kinds == {bool},
        multiple=not kinds.isdisjoint({tuple, dict}) and name not in one_text,
        help=field.description,
        show_default=str(default) if default else False,
        rich_help_panel=heading.removesuffix("."),
    )


def _kinds(annotation: Any) -> Iterator[Any]:
    """The types that a setting may have, beside None: of `tuple[str, ...]`, tuple."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _kinds(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for one in get_args(annotation):
            yield from _kinds(one)
    elif annotation is not NoneType:
        yield origin or annotation
