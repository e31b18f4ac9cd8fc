"""`fairfed semantics`: attribute tables and prototypes from several sites, and explanations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairfed.cli import semantic_tables as tables
from fairfed.cli.explaining import explain as explained
from fairfed.cli.options import ConfigFile, Override, argument, option, pipeline_config
from fairfed.cli.outputs import check_output, write_attributes, write_record
from fairfed.cli.semantic_site import attribute_sums, check_declared, prototype_sums
from semantic.privacy import gaussian_sigma
from semantic.site_files import merged_prototypes, merged_sums, read_vocabulary

app = typer.Typer(
    add_completion=False,
    help="What classes look like: attribute tables and prototypes, summed at sites and merged.",
    no_args_is_help=True,
)

Data = Annotated[
    str,
    argument(
        "The site's images: a folder with metadata.csv, 'bundled', 'fashion-mnist' or "
        "'hf:NAME'. Only training images are looked at.",
        "DATA",
    ),
]
Files = Annotated[list[Path], argument("One file of each site.", "SITE…")]
Out = Annotated[Path, option("File to write.", "--out", "-o")]
Force = Annotated[bool, typer.Option("--force", help="Replace the output if it exists.")]
Delta = Annotated[float, typer.Option(help="δ of the release.")]


@app.command()
def induce(
    data: Data,
    vocabulary: Annotated[Path, option("Attributes, one phrase a line (UTF-8).")],
    out: Out,
    epsilon: Annotated[
        float | None,
        option("ε of the release. Without it the sums are exact, for use at home."),
    ] = None,
    delta: Delta = 1e-5,
    config: ConfigFile = None,
    overrides: Override = None,
    force: Force = False,
) -> None:
    """Score a vocabulary on a site's images by CLIP: counts and sums by class."""
    import numpy as np

    check_output(out, force)
    settings = pipeline_config(data, config, overrides)
    words = read_vocabulary(vocabulary)
    if epsilon is not None:
        _check_privacy(epsilon, delta)
        check_declared(settings)
    sums = attribute_sums(settings, words)
    if epsilon is not None:
        # Noise from a seed that the receiver knows could be subtracted: it has none.
        sums = sums.noised(epsilon, delta, np.random.default_rng())
    write_record(out, sums.to_json())
    tables.print_sums(sums)
    _say_written("Attribute sums", out)


@app.command()
def table(
    sites: Files,
    out: Out,
    minimum: Annotated[
        float, typer.Option(help="Fewest images (noised, if the sums are) behind a class.")
    ] = 20,
    force: Force = False,
) -> None:
    """Merge sites' attribute sums and write the class × attribute table."""
    check_output(out, force)
    sums = merged_sums(sites)
    write_attributes(sums.table(minimum), out)
    tables.print_merged_sums(sums, minimum)
    _say_written("Attribute table", out)


@app.command()
def prototypes(
    data: Data,
    out: Out,
    epsilon: Annotated[float, option("ε of the release.")],
    delta: Delta = 1e-5,
    by: Annotated[str, typer.Option(help="class, or cell (class × group).")] = "class",
    minimum: Annotated[
        int, typer.Option(help="Fewest images (noised count) behind a name that is released.")
    ] = 20,
    config: ConfigFile = None,
    overrides: Override = None,
    force: Force = False,
) -> None:
    """Release a site's mean CLIP embeddings with noise for (ε, δ)-differential privacy."""
    check_output(out, force)
    _check_privacy(epsilon, delta)
    released = prototype_sums(pipeline_config(data, config, overrides), by).release(
        epsilon, delta, minimum
    )
    write_record(out, released.to_json())
    tables.print_prototypes(released, "Released")
    _say_written("Prototypes", out)


@app.command()
def merge(sites: Files, out: Out, force: Force = False) -> None:
    """Merge sites' prototypes; the result is a file for `conditioning.prototypes`."""
    check_output(out, force)
    merged = merged_prototypes(sites)
    write_record(out, merged.to_json())
    tables.print_prototypes(merged, "Merged")
    _say_written("Prototypes", out)


@app.command()
def explain(
    names: Annotated[list[str], argument("Classes ('Bag') and cells ('Bag × red').", "CLASS…")],
    seen: Annotated[
        list[str] | None,
        option(
            "A class or cell that there are images of; again for each. Without it: all "
            "classes of the table but those asked for."
        ),
    ] = None,
    attributes: Annotated[
        Path | None,
        option("Attribute table; replaces semantic.attributes."),
    ] = None,
    prototypes: Annotated[
        Path | None,
        option("File of prototypes; replaces conditioning.prototypes."),
    ] = None,
    nearest: Annotated[int, typer.Option(min=1, help="Seen classes to compare with.")] = 1,
    config: ConfigFile = None,
    overrides: Override = None,
) -> None:
    """Say what a class is like, whether it can be composed, and which prompt it gets."""
    found = explained(
        pipeline_config(None, config, overrides), names, seen or (), attributes, prototypes, nearest
    )
    for explanation in found:
        tables.print_explanation(explanation)


def _check_privacy(epsilon: float, delta: float) -> None:
    """Refuse ε and δ out of range before any image is embedded."""
    gaussian_sigma(epsilon, delta, sensitivity=1.0)


def _say_written(what: str, path: Path) -> None:
    typer.echo(f"{what}: {path}")
