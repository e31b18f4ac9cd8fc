"""Groups of commands: imported when they are used, or one of them meant where none is named."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar

import click
import typer
from typer.core import TyperCommand, TyperGroup


class LazyGroup(TyperGroup):
    """Shows what its commands do, and imports the one that is called."""

    lazy: ClassVar[Mapping[str, tuple[str, str]]]
    """Of each command, the module whose `app` holds it, and the help of the list of commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in their order."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """What the list of commands shows of one."""
        if cmd_name not in self.lazy:
            return None
        return TyperCommand(cmd_name, help=self.lazy[cmd_name][1])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called; a group stands for itself."""
        name, shown, rest = super().resolve_command(ctx, args)
        if name is None or shown is None:
            return name, shown, rest
        found = typer.main.get_command(import_module(self.lazy[name][0]).app)
        return name, getattr(found, "commands", {}).get(name, found), rest


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
