"""A group of commands of which one is meant where none is named."""

from __future__ import annotations

from typing import ClassVar

import click
from typer.core import TyperGroup


class DefaultGroup(TyperGroup):
    """`fairfed audit DATA…` is `fairfed audit data DATA…`; `count`, `merge` go before a file name.

    A file that is called like a command is named with its folder: `./count`.
    """

    default: ClassVar[str] = "data"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command's name before arguments that name none."""
        if args and args[0] not in (*self.commands, *self.get_help_option_names(ctx)):
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show both ways of calling it."""
        formatter.write_usage(ctx.command_path, "DATA… [OPTIONS]")
        formatter.write_usage(ctx.command_path, "count | merge …", prefix=" " * len("Usage: "))
