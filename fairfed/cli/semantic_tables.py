"""What `fairfed semantics` prints: sums, prototypes, explanations."""

from __future__ import annotations

import math

from rich.console import Console
from rich.markup import escape

from fairfed.cli.explaining import Explanation
from fairfed.cli.tables import titled
from semantic.conditioning import Description
from semantic.induction import AttributeSums
from semantic.privacy import Guarantee
from semantic.release import NoisedPrototypes


def print_sums(sums: AttributeSums) -> None:
    """What a site's file holds, and whether it may leave the site."""
    console = Console()
    _say(console, f"{len(sums.classes)} classes × {len(sums.attributes)} attributes")
    if sums.guarantee is None:
        console.print(
            "[bold red]EXACT sums, without noise: for use at home. Do not hand them on; with "
            "--epsilon they may leave the site.[/bold red]"
        )
    else:
        _say(console, _promise(sums.guarantee))


def print_merged_sums(sums: AttributeSums, minimum: float) -> None:
    """Images behind each class, how well its values are known, and the classes left out."""
    console, left_out = Console(), sums.left_out(minimum)
    noise = math.sqrt(sums.variance)
    table = titled("Attribute table", "class", right=("images", "values ±", "in the table"))
    for name, count in zip(sums.classes, sums.counts.tolist(), strict=True):
        known = "exact" if noise == 0 else f"{noise / count:.2f}" if count > 0 else "–"
        table.add_row(escape(name), f"{count:.0f}", known, "no" if name in left_out else "yes")
    console.print(table)
    if left_out:
        _say(console, f"! fewer than {minimum:g} images, left out: {', '.join(left_out)}")
    if sums.guarantee is None:
        _say(console, "Some of the sums are exact: the table has no privacy guarantee.")
    else:
        _say(console, f"{_promise(sums.guarantee)} ±: standard deviation by the noise.")


def print_prototypes(found: NoisedPrototypes, title: str) -> None:
    """Every name with its count, how far noise spoils it, and whether it is usable."""
    console, prototypes = Console(), found.prototypes()
    table = titled(
        title, "name", right=("images", "noise-to-signal", "usable", "sites withheld")
    )  # fmt: skip
    for name in sorted({*found.names, *found.withheld}):
        count, ratio, usable = "–", "–", "no"
        if name in prototypes:
            one = prototypes[name]
            count, ratio = f"{one.count:.0f}", f"{one.noise_to_signal:.2f}"
            usable = "yes" if one.usable else "no"
        table.add_row(escape(name), count, ratio, usable, str(found.withheld.get(name, 0)))
    console.print(table)
    _say(console, f"{_promise(found.guarantee)} Images: noised counts of at least {found.minimum}.")


def print_explanation(found: Explanation) -> None:
    """Neighbours, verdicts, and the prompts."""
    console = Console()
    _say(console, found.name)
    _say(console, f"  {found.neighbours}")
    for verdict in found.verdicts:
        _say(console, f"  {'✓' if verdict.composable else '!'} {verdict.reason}")
    if found.note:
        _say(console, f"  {found.note}")
    for setting, description in found.prompts:
        _print_description(console, setting, description)


def _print_description(console: Console, setting: str, found: Description) -> None:
    also = " and its prototype" if found.prototype else ""
    _say(console, f"  {setting}: {found.prompt}{also}")
    for prompt, weight in found.terms:
        _say(console, f"    {weight:+.2f} {prompt}")


def _promise(guarantee: Guarantee) -> str:
    return (
        f"Private with ε = {guarantee.epsilon:g} and δ = {guarantee.delta:g} for adding or "
        "removing one training image."
    )


def _say(console: Console, text: str) -> None:
    """As it is: names may look like markup, and a prompt is copied from one line."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
