"""Tables of `fairfed coordinator`: what was tried from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from fairfed.cli.tables import titled

if TYPE_CHECKING:
    from fairfed.deployment.probing import Attempt

OPEN = (
    "OPEN: whoever has the certificate of the authority, that is every site, reaches more than the "
    "Fleet API of {address}, and can have code run at all sites. Stop the SuperLink now; let it "
    "listen on 127.0.0.1 only, behind the proxy of `fairfed coordinator init`."
)
CLOSED = "Closed: {address} lets registered sites through, and nothing else."


def print_attempts(address: str, attempts: Sequence[Attempt]) -> bool:
    """Say what was tried and what answered; whether all is as it must be."""
    console = Console()
    table = titled("", "", "tried", "at", "answer")
    for attempt in attempts:
        mark = "✓" if attempt.sound else "[bold red]✗[/bold red]"
        table.add_row(mark, escape(attempt.what), escape(attempt.path), escape(attempt.seen))
    console.print(table)
    sound = all(attempt.sound for attempt in attempts)
    told = (CLOSED if sound else OPEN).format(address=address)
    console.print(told, style="" if sound else "bold red", soft_wrap=True, markup=False)
    return sound
