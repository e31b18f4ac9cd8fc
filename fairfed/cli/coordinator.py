"""`fairfed coordinator`: the machine in the middle of a federation of real sites."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairfed.cli.options import argument, option
from fairfed.deployment.asking import UnreachableError, parts
from fairfed.deployment.processes import stopped_at_the_end
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.deployment.probing import Attempt

app = typer.Typer(
    add_completion=False,
    help="The machine in the middle of a federation of real sites: set it up, start it, try it "
    "from outside.",
    no_args_is_help=True,
)

LOCAL = ("127.0.0.1", "localhost")
HTTPS, TRIAL_PORT, INNER_PORT = 443, 9443, 9092
OPEN = (
    "OPEN: whoever has the certificate of the authority, that is every site, reaches more than the "
    "Fleet API of {address}, and can have code run at all sites. Stop the SuperLink now; let it "
    "listen on 127.0.0.1 only, behind the proxy of `fairfed coordinator init`."
)
CLOSED = "Closed: {address} lets registered sites through, and nothing else."
Folder = Annotated[Path, argument("What `init` has written.", "DIR")]


@app.command()
def init(
    study: Annotated[Path, argument("The study (TOML).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")] = Path(
        "coordinator"
    ),
    address: Annotated[
        str,
        typer.Option(
            help="Host name or IP address by which sites reach this machine; 127.0.0.1 is for a "
            "trial on it alone."
        ),
    ] = LOCAL[0],
    port: Annotated[
        int | None,
        option("Port of the proxy; without it 443, for a trial 9443."),
    ] = None,
    inner_port: Annotated[
        int, typer.Option(help="Port of the SuperLink, on 127.0.0.1 alone.")
    ] = INNER_PORT,
    in_memory: Annotated[
        bool,
        typer.Option(
            "--in-memory",
            help="Keep the SuperLink's state in memory, for models above 200 MB: after it has been "
            "killed sites sign in anew, and the study continues from its own checkpoint.",
        ),
    ] = False,
    site: Annotated[
        list[str] | None,
        option("Who is invited, once for each; without it, `sites` of the study."),
    ] = None,
    certificate: Annotated[
        Path | None,
        option("The institution's certificate, with its chain."),
    ] = None,
    key: Annotated[Path | None, option("Its private key.")] = None,
    ca: Annotated[Path | None, option("The authority that signed it.")] = None,
) -> None:
    """Write certificates, proxy, systemd units, and an invitation for each site."""
    from fairfed.config.load import validated
    from fairfed.deployment.coordinator import IN_MEMORY, ON_DISK, CoordinatorConfig
    from fairfed.deployment.founding import Institution, found, summary

    given = None
    if certificate and key and ca:
        given = Institution(certificate, key, ca)
    elif certificate or key or ca:
        raise InputError("--certificate, --key and --ca belong together: give all three, or none")
    settings = {
        "name": "study", "address": address, "inner_port": inner_port,
        "port": port or (TRIAL_PORT if address in LOCAL else HTTPS),
        "database": IN_MEMORY if in_memory else ON_DISK,
    }  # fmt: skip
    config = validated(CoordinatorConfig, settings, "fairfed coordinator init")
    for line in summary(found(study, out, config, site or (), given)):
        typer.echo(line)
    typer.echo(f"Next: fairfed coordinator start {out}")


@app.command()
def invite(
    folder: Folder,
    name: Annotated[str, argument("The site's name.")],
) -> None:
    """Write the invitation of another site."""
    from fairfed.deployment.coordinator import coordinator
    from fairfed.deployment.founding import invite as written

    typer.echo(f"Written: {written(coordinator(folder), name)}")


@app.command()
def renew(folder: Folder) -> None:
    """Replace the coordinator's own certificate, which sites trust as the old one."""
    from fairfed.deployment.coordinator import coordinator
    from fairfed.deployment.founding import renew as renewed

    made = renewed(coordinator(folder))
    typer.echo(f"Valid until {made.until:%Y-%m-%d}. It is shown after a restart: stop, then start.")


@app.command()
def register(
    folder: Folder,
    key: Annotated[
        Path | None,
        argument(
            "The public key that a site sent; without it, all that are known already.", "SITE.pub"
        ),
    ] = None,
    name: Annotated[str | None, option("The site's name.")] = None,
) -> None:
    """Let a site take part: its key is kept in DIR, and made known to the SuperLink."""
    from fairfed.deployment.control import keep_key, register_known
    from fairfed.deployment.control import register as registered
    from fairfed.deployment.coordinator import coordinator
    from fairfed.deployment.trial import await_superlink

    place = coordinator(folder)
    if key is None:
        await_superlink(place)
        for line in register_known(place):
            typer.echo(line)
        return
    if name is None:
        raise InputError("--name: which site's key is it?")
    keep_key(place, key, name)
    typer.echo(registered(place, name))


@app.command()
def start(
    folder: Folder,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay, and stop all when this ends.")
    ] = False,
) -> None:
    """Start SuperLink, SuperExec and proxy here, for a trial; the units do it for good."""
    from fairfed.deployment import trial
    from fairfed.deployment.coordinator import coordinator

    place = coordinator(folder)
    if not foreground:
        trial.start(place, typer.echo)
        typer.echo(f"{place.config.name}: sites reach it at {place.config.reached}")
        return
    with stopped_at_the_end(lambda: trial.stop(place)):
        trial.start(place, typer.echo)
        typer.echo(f"{place.config.name}: sites reach it at {place.config.reached}")
        trial.watch(place)


@app.command()
def stop(folder: Folder) -> None:
    """Stop what `start` has started."""
    from fairfed.deployment import trial
    from fairfed.deployment.coordinator import coordinator

    stopped = trial.stop(coordinator(folder))
    typer.echo(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running.")


@app.command()
def status(folder: Folder) -> None:
    """Say what runs and answers, and which sites are there; exit code 1 where something lacks."""
    from fairfed.deployment import trial
    from fairfed.deployment.control import sites
    from fairfed.deployment.coordinator import coordinator

    place = coordinator(folder)
    found = list(trial.status(place))
    for holds, line in found:
        typer.echo(f"{'✓' if holds else '✗'} {line}")
    if found[0][0]:
        for line in sites(place):
            typer.echo(line)
    raise typer.Exit(0 if all(holds for holds, _ in found) else 1)


@app.command()
def check(
    address: Annotated[str, argument("Of the proxy.", "HOST:PORT")],
    ca: Annotated[Path, option("The public certificate of its authority.")],
) -> None:
    """Try from outside what only the coordinator may: exit code 1 if anything answers."""
    from fairfed.deployment.probing import probe

    try:
        parts(address)
        authority = ca.read_text(encoding="ascii")
    except ValueError:
        raise InputError(f"{address}: expected HOST:PORT, and --ca a certificate in PEM") from None
    try:
        attempts = list(probe(address, authority))
    except UnreachableError as error:
        raise InputError(f"{error.why}; {error.remedy}") from error
    if not _print_attempts(address, attempts):
        raise typer.Exit(1)


def _print_attempts(address: str, attempts: Sequence[Attempt]) -> bool:
    """Say what was tried and what answered; whether all is as it must be."""
    from rich.console import Console
    from rich.markup import escape

    from fairfed.cli.tables import titled

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
