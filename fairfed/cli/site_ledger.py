"""`fairfed site ledger` and `approve`: what left the site, and what may be asked of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fairfed.cli.options import SiteFile, argument, option
from fairfed.sites.ledger import Ledger
from semantic.errors import InputError

CUT = "the head {head} is that of no line: lines were cut off the end, or altered"


def ledger(
    site: SiteFile,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Walk along the chain of hashes; exit 1 where it is broken."),
    ] = False,
    head: Annotated[str | None, option("With --verify: a head noted before, to be found.")] = None,
    study: Annotated[str | None, option("Of this study alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what has left the site, by study; then the last lines."""
    from fairfed.cli.ledger_tables import print_ledger, print_spent, print_verified
    from fairfed.config.site import load_site
    from fairfed.sites.account import delta_of
    from fairfed.sites.ledger_reading import totals, verified

    config = load_site(site)
    kept = Ledger(Path(config.state.directory))
    if head is not None and not verify:
        raise typer.BadParameter("--head goes with --verify")
    if not kept.path.is_file():
        raise InputError(
            f"{kept.path}: no such file; nothing has left the site, or state.directory names "
            "another folder"
        )
    if not verify:
        every, budget = list(kept.entries()), config.policy.dp
        entries = [one for one in every if study is None or one.get("study") == study]
        if study is not None and not entries:
            raise InputError(f"--study {study}: {kept.path} has no line of it")
        found = totals(entries, delta_of(budget))
        if as_json:
            typer.echo(json.dumps([vars(one) for one in found], ensure_ascii=False))
        else:
            print_ledger(config.name, found, entries)
            print_spent(every, budget)
        return
    walked = verified(kept, config.name, config.coordinator.receipts_key)
    cut = head is not None and head not in set(kept.heads())
    wrong = walked.wrong or (CUT.format(head=head) if cut else "")
    if as_json:
        typer.echo(json.dumps(walked.as_dict() | {"wrong": wrong}))
    else:
        print_verified(walked, wrong, kept.path)
    if wrong:
        raise typer.Exit(1)


def approve(
    site: SiteFile,
    study: Annotated[
        Path,
        argument(
            "The study: its TOML file, or what a refusal has kept of it as it was sent.", "STUDY"
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Approve it no longer: from the next message on.")
    ] = False,
) -> None:
    """Show what a study asks of the site, and note that a person has approved it."""
    from fairfed.cli.ledger_tables import print_study
    from fairfed.cli.site_tables import print_check
    from fairfed.config.site import load_site
    from fairfed.sites import approval
    from fairfed.sites.checking import check, sent_study

    config = load_site(site)
    told = sent_study(study, config)
    folder = Path(config.state.directory)
    known = told.fingerprint in approval.approved(folder)
    print_study(told)
    if revoke:
        if not known:
            raise InputError(f"{study}: this study is not approved; there is nothing to revoke")
        approval.approve(told, folder, yes=False)
        typer.echo(f"No longer approved: {told.name}.")
        if told.fingerprint in config.policy.studies:
            typer.echo("policy.studies still names it; remove it there, too.")
        return
    found = check(config, told, plan=not config.policy.allow_download)
    print_check(config, told, found)
    if found.refusals:
        listed = "\n  ".join(found.refusals)
        raise InputError(f"{site}: {config.name} could not take part even so:\n  {listed}")
    if known:
        typer.echo("Approved already.")
        return
    if not (yes or typer.confirm(f"Approve {told.name!r} for {config.name}?")):
        typer.echo("Not approved.")
        raise typer.Exit(1)
    approval.approve(told, folder)
    typer.echo(f"Approved: {told.name}, {told.fingerprint}")
