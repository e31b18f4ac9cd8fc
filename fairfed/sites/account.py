"""What a site has spent of its privacy: all noised releases of its ledger, added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fairfed.config.site import SiteBudget
from fairfed.privacy.accounting import divergences_of, epsilon_of, total

DELTA = 1e-5
"""The δ of what is spent, where a site has no budget that says another."""
ROUNDING = 1e-9
OVERSPENT = (
    "policy.dp: with this answer all that has left under noise would spend ε = {spent:.3g} at "
    "δ = {delta:g}, allowed is {most:g}"
)


def spent(entries: Iterable[Mapping[str, Any]], delta: float) -> float:
    """ε of all noised releases of a ledger, at a δ: over rounds, arms, runs and studies.

    The same draw of noise that is sent again is spent once. The less of two bounds counts: Rényi
    divergences added up, or ε and δ added up where the sum of δ allows.
    """
    releases = (entry["release"] for entry in entries if "release" in entry)
    drawn = {release["sha256"]: release for release in releases}.values()
    found = epsilon_of(total(map(divergences_of, drawn)), delta)
    if sum(release["delta"] for release in drawn) > delta * (1 + ROUNDING):
        return found
    return min(found, sum(float(release["epsilon"]) for release in drawn))


def delta_of(budget: SiteBudget | None) -> float:
    """The δ at which a site's privacy is added up."""
    return DELTA if budget is None else budget.delta


def overspent(budget: SiteBudget | None, entries: Iterable[Mapping[str, Any]]) -> str | None:
    """Why no more may leave, by what a ledger says; None if it may."""
    if budget is None:
        return None
    found = spent(entries, budget.delta)
    if found <= budget.epsilon:
        return None
    return OVERSPENT.format(spent=found, delta=budget.delta, most=budget.epsilon)
