"""Commands of `fairfed site` on its SuperNode: join, start, stop, status, log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairfed.cli.options import SiteFile, argument
from fairfed.deployment.processes import stopped_at_the_end
from semantic.errors import InputError


def join(
    invitation: Annotated[Path, argument("What the coordinator sent (TOML).")],
    site: Annotated[Path, typer.Option(help="The site's file.")] = Path("site.toml"),
    port: Annotated[
        int, typer.Option(help="Port of the SuperNode on this machine; another for each site here.")
    ] = 9094,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of an earlier invitation.")
    ] = False,
) -> None:
    """Accept an invitation: make the site's key and its unit, and check all that must hold."""
    from fairfed.deployment.checks import connection, fits, same_versions
    from fairfed.deployment.greeting import registered
    from fairfed.deployment.joining import join as joined

    node, public = joined(invitation, site, port, replace=replace)
    typer.echo(f"{node.site.name}: joins at {node.invitation.address}. Compare by telephone:")
    typer.echo(f"  authority: {node.invitation.authority_fingerprint}")
    typer.echo(f"  study: {node.invitation.fingerprint}")
    typer.echo(
        f"Its public key, {node.folder / 'key.pub'}, for the coordinator:\n  {public.strip()}"
    )
    typer.echo(f"Its systemd unit: {node.unit}")
    if node.invitation.receipts_key and not node.site.coordinator.receipts_key:
        typer.echo("So that the ledger can verify the coordinator's receipts, write in site.toml:")
        typer.echo(f'  [coordinator]\n  receipts_key = "{node.invitation.receipts_key}"')
    failed = 0
    for finding in same_versions(node.invitation):
        failed += _told(finding)
    reached = list(connection(node.invitation))
    failed += sum(map(_told, reached))
    if all(finding.holds is not False for finding in reached) and not node.process().runs():
        failed += _told(registered(node))
    failed += _told(fits(node))
    if failed:
        raise InputError(f"{node.site.name}: {failed} of the checks failed; mend, and join again")
    typer.echo(f"Next, once the coordinator has registered the key: fairfed site start {site}")


def _told(finding: object) -> bool:
    """Print a finding; whether it stands in the way."""
    typer.echo(str(finding))
    return getattr(finding, "holds", None) is False


def start(
    site: SiteFile,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, show the log, and stop when this ends.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only check the connection, and start nothing.")
    ] = False,
) -> None:
    """Start the site's SuperNode here; the unit does it for good."""
    from fairfed.deployment.joining import node
    from fairfed.deployment.running import checked, follow
    from fairfed.deployment.running import start as started

    found = node(site)
    for finding in checked(found):
        typer.echo(str(finding))
    if check:
        return
    if not foreground:
        started(found, typer.echo)
        return
    before = found.process().logged()
    with stopped_at_the_end(found.process().stop):
        follow(started(found, typer.echo), typer.echo, before)


def stop(site: SiteFile) -> None:
    """Stop what `start` has started."""
    from fairfed.deployment.joining import node

    process = node(site).process()
    typer.echo(f"{process.name}: {'stopped' if process.stop() else 'was not running'}")


def status(site: SiteFile) -> None:
    """Say whether the SuperNode runs and the coordinator answers; exit code 1 where it lacks."""
    from fairfed.deployment.checks import connection
    from fairfed.deployment.joining import node
    from fairfed.deployment.running import status as told

    found = node(site)
    for line in told(found):
        typer.echo(line)
    seen = list(connection(found.invitation))
    failed = sum(map(_told, seen))
    raise typer.Exit(1 if failed or not found.process().runs() else 0)


def log(
    site: SiteFile,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many.")] = 40,
) -> None:
    """Show the end of the SuperNode's log, and what Flower's errors in it mean."""
    from fairfed.deployment.joining import node
    from fairfed.deployment.running import log as shown

    typer.echo(shown(node(site), lines))
