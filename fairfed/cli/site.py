"""`fairfed site`: what one site has at home, and what comes of it in a study."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairfed.cli import site_ledger, site_node
from fairfed.cli.options import SiteFile, argument, option
from semantic.errors import InputError

if TYPE_CHECKING:
    from fairfed.config import Config

app = typer.Typer(
    add_completion=False,
    help="A site's own data and policy: write its site.toml, see what comes of it, join a study.",
    no_args_is_help=True,
)


@app.command()
def init(
    data: Annotated[
        str,
        argument(
            "The site's images (a folder, or 'hf:NAME') or its table (.csv, .parquet).",
            "FOLDER|TABLE",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("site.toml"),
    name: Annotated[
        str | None,
        option("What the site is called; without it, as the folder of DATA."),
    ] = None,
) -> None:
    """Look at a site's data and write a site.toml with comments; says what it needs to be told."""
    from fairfed.cli.site_tables import print_look
    from fairfed.sites.first_toml import first_toml
    from fairfed.sites.looking import look_at

    if out.is_dir() or out.exists():
        raise InputError(
            f"--out {out} exists, and may hold what a person has written; give another name, or "
            "remove it"
        )
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: no directory {out.parent}; make it, or give another name")
    found = look_at(data)
    text = first_toml(found, name or _called(data), _seen_from(out.parent, data))
    out.write_text(text, encoding="utf-8")
    print_look(found, out)


@app.command()
def check(
    site: SiteFile,
    federation: Annotated[
        Path | None,
        option("The study (TOML). Without it: what the site holds, under its own names."),
    ] = None,
    timed: Annotated[
        bool, typer.Option("--time", help="Make a batch of images, to tell how long all take.")
    ] = False,
) -> None:
    """Say what would be loaded, mapped, left out, planned and sent; exit 2 if it cannot be."""
    from fairfed.cli.site_tables import print_check
    from fairfed.config.site import load_site
    from fairfed.sites.checking import at_site, permitted, study_of
    from fairfed.sites.checking import check as checked

    config = load_site(site)
    study = None if federation is None else study_of(federation)
    lacking = []
    if study is not None and any(arm.augment for arm in study.arms):
        lacking = list(_lacking(at_site(study, config)))
    found = checked(config, study, timed, plan=not lacking)
    print_check(config, study, found)
    reasons = list(found.refusals)
    if federation is not None and not permitted(config, federation):
        reasons.append(
            f"policy.approve: nobody here has approved the study: fairfed site approve {site} "
            f"{federation}"
        )
    if lacking and config.policy.allow_download:
        typer.echo("\n  ".join(("No plan before the models are here:", *lacking)))
    else:
        reasons += lacking
    if reasons:
        listed = "\n  ".join(reasons)
        raise InputError(f"{site}: {config.name} cannot take part:\n  {listed}")


app.command()(site_ledger.approve)
app.command()(site_ledger.ledger)


def _lacking(config: Config) -> Iterator[str]:
    """Models that are not on the disk, or do not know the classes, a sentence for each."""
    from fairfed.cli.model_files import models_of

    settings = {"generator.model": "models.generator"}
    for model in models_of(config):
        if model.missing:
            setting = settings.get(model.setting, f"models.{model.setting.partition('.')[2]}")
            yield f"{setting} = {model.value}: {model.missing} missing; {model.remedy}"


_ANY_FOLDER = ("images", "image", "imgs", "pictures", "data", "dataset", "train", "metadata", "")
"""Names of folders and tables that say nothing of whose they are."""


def _called(data: str) -> str:
    """A name for the site: that of its table or folder, or of the first one above that says more.

    A name has letters, digits and dashes alone.
    """
    path = Path(data.removeprefix("hf:")).absolute()
    names = [path.stem, *(folder.name for folder in path.parents)]
    own = next((name for name in names if name.casefold() not in _ANY_FOLDER), "site")
    plain = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in own)
    return plain.strip("-") or "site"


def _seen_from(folder: Path, data: str) -> str:
    """The source, relative to the folder of site.toml where it lies below, absolute elsewhere."""
    head = "hf:" if data.startswith("hf:") else ""
    path = Path(data.removeprefix("hf:"))
    if not path.exists():
        return data
    whole, start = path.resolve(), folder.resolve()
    return head + str(whole.relative_to(start) if whole.is_relative_to(start) else whole)


for command in (site_node.join, site_node.start, site_node.stop, site_node.status, site_node.log):
    app.command()(command)
