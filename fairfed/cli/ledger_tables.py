"""Tables of `fairfed site ledger` and `approve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from fairfed.cli.tables import titled
from fairfed.sites.account import delta_of, spent

if TYPE_CHECKING:
    from fairfed.config.federation import FederationConfig
    from fairfed.config.site import SiteBudget
    from fairfed.sites.ledger_reading import StudyTotal, Verified

LAST = 10
"""Lines that are shown."""
NOTHING = "–"


def print_ledger(
    site: str, totals: Sequence[StudyTotal], entries: Sequence[Mapping[str, Any]]
) -> None:
    """What each study had of the site, and the last lines."""
    console = Console()
    table = titled(
        f"What has left {escape(site)}",
        "study",
        right=("answers", "rounds", "kB", "counts\nsaid", "sup-\npressed", "ε", "δ", "errors"),
    )
    for one in totals:
        budget = (f"{one.epsilon:.3g}", f"{one.delta:g}") if one.epsilon else (NOTHING, NOTHING)
        numbers = one.answers, one.rounds, f"{one.bytes / 1e3:,.1f}", one.said, one.suppressed
        table.add_row(_plain(one.study), *map(str, numbers), *budget, str(one.errors))
    console.print(table)
    shown = [entry for entry in entries if "asked" in entry][-LAST:]
    lines = titled("The last lines", "time", "study", "asked", right=("round", "kB"))
    lines.add_column("what left")
    for entry in shown:
        size = f"{entry['bytes'] / 1e3:,.1f}" if "bytes" in entry else NOTHING
        time = str(entry.get("time", ""))[:16].replace("T", " ")
        told = entry.get("study") or NOTHING, _asked(entry), entry.get("round"), size, _what(entry)
        lines.add_row(*map(_plain, (time, *told)))
    console.print(lines)


def print_spent(entries: Sequence[Mapping[str, Any]], budget: SiteBudget | None) -> None:
    """What all studies have spent of a site's privacy, and of how much."""
    delta = delta_of(budget)
    found = spent(entries, delta)
    if not found and budget is None:
        return
    most = "no budget (policy.dp)" if budget is None else f"of {budget.epsilon:g}"
    Console().print(
        f"Spent under noise, all studies together: ε = {found:.3g} {most} at δ = {delta:g}"
    )


def _plain(text: object) -> str:
    """What another side has written, without signs that would move the cursor or mark it up."""
    return escape("".join(sign if sign.isprintable() else "?" for sign in str(text)))


def _asked(entry: Mapping[str, Any]) -> str:
    named = (str(entry[name]) for name in ("arm", "meta", "phase") if name in entry)
    return " ".join((str(entry["asked"]), *named))


def _what(entry: Mapping[str, Any]) -> str:
    """What an answer held, in words; or the error."""
    if "error" in entry:
        return f"error: {entry['error']}"
    if "records" not in entry:  # of version 0.3.0
        return ", ".join((*entry.get("numbers", ()), *entry.get("texts", ())))
    parts = []
    for name, record in entry["records"].items():
        holds = record["holds"]
        parts.append(f"{holds} arrays" if record["kind"] == "arrays" else ", ".join(holds) or name)
    hidden = sum(entry.get("unsaid", {}).values())
    return "; ".join(parts) + (f" ({hidden} cells not said)" if hidden else "")


def print_verified(found: Verified, wrong: str, path: Path) -> None:
    """Whether the chain holds, and what to write down."""
    console = Console()

    def say(text: str, style: str | None = None) -> None:
        console.print(escape(text), style=style, soft_wrap=True)

    say(f"{path}: {found.lines:,} lines")
    if found.unchained:
        say(f"The first {found.unchained:,} are of version 0.3.0, without hashes: unchained.")
    if found.interrupted:
        say(f"{found.interrupted:,} were interrupted while they were written; nothing left.")
    if wrong:
        say(f"Broken: {wrong}. What stands behind it is not vouched for.", "bold red")
    else:
        say("Every other line follows the one before it." if found.unchained or found.interrupted
            else "Every line follows the one before it.")  # fmt: skip
    say(f"Receipts: {found.receipted:,} of {found.answers:,} answers have a valid one.")
    if found.unverified:
        say(f"{found.unverified:,} have one that no coordinator.receipts_key verifies.")
    if found.invalid:
        say(f"{found.invalid:,} receipts are signed by somebody else.", "red")
    if found.strange:
        say(f"{found.strange:,} receipts are of answers that are not here: lines are lost.", "red")
    say(f"Head, to write down: {found.head}")


def print_study(told: FederationConfig) -> None:
    """What a study is, before what comes of it at the site."""
    console = Console()
    table = titled("", "", "")
    arms = ", ".join(arm.name for arm in told.arms)
    own = [name for name in (told.model, told.system) if name and ":" in name]
    rows = {
        "study": told.name,
        "fingerprint": told.fingerprint,
        "classes": ", ".join(told.labels.classes),
        "groups": ", ".join(told.labels.groups),
        "model": told.model,
        "arms": arms,
        "rounds": str(told.rounds),
        "at least": f"{told.min_sites} sites",
        **({"own code": ", ".join(own)} if own else {}),
    }
    for name, value in rows.items():
        table.add_row(name, _plain(value))
    console.print(table)
