"""What an audit found, in sentences made from its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.audit.report.judged import (
    CLEAR,
    NOT_SHOWN,
    Data,
    cross,
    gap_unit,
    is_finding,
    state,
    subgroup_unit,
)
from evaluation.numbers import Unit, amount, called, count, ends, gap

NAMES = 20
"""Names that are listed in a sentence at most."""


def findings(audit: Data) -> list[str]:
    """What else a reader must know first."""
    lines = [_clear_gaps(audit, item) for item in audit["comparisons"] if len(item["groups"]) > 1]
    lines += [line for line in [_by_chance(audit)] if line]
    lines += [line for item in audit["comparisons"] if (line := _labels(audit, item))]
    if audit["subgroups"]:
        lines.append(worst_subgroup(audit["subgroups"][0]))
    return lines


def sentence(audit: Data, comparison: Data, item: Data) -> str:
    """One gap in words: value, groups, interval, rows, chance."""
    unit, own = gap_unit(audit, item), item["estimate"]
    metric = next((m for m in comparison["metrics"] if m["name"] == item["metric"]), None)
    value = gap(own["value"], unit)
    ends_known = {item["lowest"], item["highest"]} <= set(comparison["groups"])
    if metric is not None and ends_known and item["lowest"] != item["highest"]:
        rates = dict(zip(comparison["groups"], metric["groups"], strict=True))
        low, high = (
            f"{_named(comparison, group)} ({amount(rates[group]['value'], unit)})"
            for group in (item["lowest"], item["highest"])
        )
        start = f"{metric['title']} differs by {value} between {low} and {high}"
    else:
        start = f"{item['title']} between groups of {cross(comparison['by'])} is {value}"
    between = ends(own["low"], own["high"], unit)
    details = [f"{100 * _level(audit):g} % interval {between}"] if between else []
    details.append(f"n = {count(own['n'])}")
    if item["chance"] is not None:
        details.append(f"chance alone makes up to {gap(item['chance'], unit)}")
    if state(item, _level(audit)) == NOT_SHOWN and item["detectable"] is not None:
        details.append(f"detectable from {gap(item['detectable'], unit)}")
    details += own["lacks"]
    return f"{start}; {', '.join(details)}"


def helps(audit: Data) -> list[str]:
    """What would make the gaps smaller: thresholds, a subgroup, a client."""
    lines = [line for item in _frontiers(audit) if (line := _thresholds(item))]
    worst = next(
        (s for s in audit["subgroups"] if s["explains"] and (s["shortfall"] or 0) > 0), None
    )
    if worst is not None:
        lines.append(
            f"More or better data where {_where(worst)} ({count(worst['n'])} rows): were it served "
            f"like the rest, all errors together would be {amount(worst['explains'])} less."
        )
    largest = max(
        # A small change is what any client makes.
        (c for c in audit["contributions"] if c["share"] and c["share"] > 0.25 * c["without"]),
        key=lambda c: c["share"],
        default=None,
    )
    if largest is not None:
        name = gap_title(audit, largest["gap"])
        unit: Unit = "number" if audit["schema"]["task"] == "regression" else "share"
        lines.append(
            f"Without {called(largest['client'])} the {name} would be "
            f"{gap(largest['without'], unit)}, {gap(largest['share'], unit)} smaller: look at "
            "its data first."
        )
    return lines


def limits(audit: Data) -> list[str]:
    """What the numbers do not say."""
    options, lines = audit["options"], []
    lines.append(
        "Intervals and tests cover the choice of these rows, not how they were sampled, labelled "
        "or measured: an error in the labels that differs by group looks like a gap, or hides one."
    )
    lines.append(
        "Not shown is not even: differences below the column “detectable” would be missed "
        f"more often than in {100 * (1 - options['power']):.0f} of 100 audits of this size."
    )
    if audit["subgroups"]:
        lines.append(
            "The worst subgroups were searched for among many: their intervals and bounds are "
            "corrected for the search; their values are not, and will look better in new data."
        )
    if audit["contributions"]:
        lines.append(
            "A client's contribution is what changes when it alone is left out; contributions of "
            "several clients do not add up."
        )
    if audit["schema"]["weighted"]:
        lines.append("Metrics are weighted; n counts rows, and intervals are approximate.")
    if audit["frontiers"]:
        lines.append(
            "Thresholds by group treat equal scores differently by group, which the law forbids "
            "in some domains; the frontier shows what is possible, not what to do."
        )
    if options["redact"]:
        lines.append(
            f"Redacted: no count from 1 to {options['redact']} can be derived from these figures, "
            "nor that one is so small. Who holds other figures of the same rows may know more: a "
            "second audit, or a site its own rows."
        )
    return lines


def condition(column: str, value: str, verb: str = "=") -> str:
    """A column and its value: ``sex = f``, but ``age >= 65``."""
    return f"{column} {value}" if value[:1] in ("<", ">") else f"{column} {verb} {value}"


def not_compared(audit: Data) -> str:
    """Why some groups are not compared."""
    few = f"fewer than {audit['options']['min_group']} rows each"
    return f"{few}, or withheld by redaction" if audit["options"]["redact"] else few


def several(names: Sequence[str], most: int = NAMES) -> str:
    """Names in a sentence: the first ones, and how many others there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def _weight(comparison: Data, item: Data) -> tuple[bool, float, float]:
    """Order of gaps: those between two named groups first, then by what is surely there."""
    own = item["estimate"]
    simple = bool(item["lowest"] and item["highest"])
    return simple, own["low"] if own["low"] is not None else 0.0, own["value"]


def _clear_gaps(audit: Data, comparison: Data) -> str:
    own = [item for item in comparison["gaps"] if is_finding(item)]
    states = {item["name"]: state(item, _level(audit)) for item in own}
    clear = [item for item in own if states[item["name"]] == CLEAR]
    by, total = cross(comparison["by"]), len(own)
    if not total:
        return f"By {by}: no gap was computed."
    if not clear:
        return f"By {by}: none of {total} gaps can be told from chance with these rows."
    clear.sort(key=lambda item: -_weight(comparison, item)[1])
    named = ", ".join(
        f"{lowered(i['title'])} {gap(i['estimate']['value'], gap_unit(audit, i))}"
        for i in clear[:3]
    )
    more = f" and {len(clear) - 3} more" if len(clear) > 3 else ""
    verb = "is" if len(clear) == 1 else "are"
    return f"By {by}: {len(clear)} of {total} gaps {verb} clear of chance: {named}{more}."


def _by_chance(audit: Data) -> str:
    """How many gaps would be called clear if there were none."""
    tested = [
        item
        for comparison in (*audit["comparisons"], *audit["scores"])
        for item in comparison["gaps"]
        if is_finding(item) and item["p"] is not None
    ]
    if len(tested) < 2:
        return ""
    alpha = 1 - _level(audit)
    return (
        f"Of {len(tested)} tests at {100 * alpha:g} %, chance alone would call about "
        f"{len(tested) * alpha:.2g} clear if all groups were treated alike; p-values corrected for "
        "that stand beside each gap."
    )


def worst_subgroup(item: Data) -> str:
    """The worst subgroup in words."""
    own, unit = item["estimate"], subgroup_unit(item["metric"])
    shortfall = item["shortfall"]
    surely = (
        f"surely at least {gap(shortfall, unit)} worse"
        if shortfall is not None and shortfall > 0
        else "not surely worse than the rest, given how many were searched"
    )
    return (
        f"Worst subgroup: {_where(item)}, {item['metric'].replace('_', ' ')} "
        f"{amount(own['value'], unit)} against {amount(item['rest'], unit)} elsewhere "
        f"(n = {count(item['n'])}; {surely})."
    )


def _named(comparison: Data, group: str) -> str:
    """A group that a reader knows: ``age >= 65``, but ``female``."""
    number = group[:1] in "<>" or group[:1].isdigit()
    return f"{comparison['by'][0]} {group}" if number and len(comparison["by"]) == 1 else group


def _labels(audit: Data, comparison: Data) -> str:
    """Whether the truth itself differs by group, which predictions can only follow."""
    own = next((g for g in comparison["gaps"] if g["name"] == "base_rate_difference"), None)
    if own is None or len(comparison["by"]) != 1 or state(own, _level(audit)) != CLEAR:
        return ""
    value = gap(own["estimate"]["value"], gap_unit(audit, own))
    return (
        f"By {cross(comparison['by'])}: the true rate of the positive class differs by {value} "
        f"between {own['lowest']} and {own['highest']}. That is in the labels, not in the "
        "predictions; equal selection rates and equal error rates then hardly go together."
    )


def _frontiers(audit: Data) -> list[Data]:
    """Of every single column with a clear gap, the frontier of the constraint with most to gain."""
    found = []
    for comparison in audit["comparisons"]:
        own = [f for f in audit["frontiers"] if f["by"] == comparison["by"] and f["now"][0]]
        clear = any(is_finding(g) and state(g, _level(audit)) == CLEAR for g in comparison["gaps"])
        if own and clear and len(comparison["by"]) == 1:
            found.append(max(own, key=lambda f: f["now"][0]))
    return found


def _thresholds(item: Data) -> str:
    """The smallest gap that thresholds by group reach without losing accuracy, and at gap 0."""
    now_gap, now = item["now"]
    points = [p for p in item["points"] if p["accuracy"] is not None]
    if not points or now is None or now_gap is None:
        return ""
    constraint = item["constraint"].replace("_", " ")
    free = [p for p in points if p["accuracy"] >= now - 5e-4 and p["gap"] < now_gap - 5e-4]
    even = min(points, key=lambda p: p["gap"])
    change = gap(even["accuracy"] - now, signed=True)
    start = f"Thresholds by {cross(item['by'])} could bring the gap in {constraint} from "
    start += f"{gap(now_gap)} "
    end = f"to {gap(even['gap'])} at an accuracy of {amount(even['accuracy'])} ({change})"
    if free:
        best = min(free, key=lambda p: p["gap"])
        if best["gap"] <= even["gap"] + 5e-4:
            return f"{start}{end}, which costs no accuracy."
        return f"{start}to {gap(best['gap'])} without losing accuracy, and {end}."
    return f"{start}{end}."


def gap_title(audit: Data, name: str) -> str:
    """A gap as a gate names it, in words: ``equalized_odds_difference @ sex`` and the like."""
    own, _, by = name.partition(" @ ")
    titles = {g["name"]: g["title"] for c in audit["comparisons"] for g in c["gaps"]}
    title = lowered(str(titles.get(own, own.replace("_", " "))))
    return f"{title} by {by}" if by else title


def _where(item: Data) -> str:
    return " and ".join(condition(column, value, "is") for column, value in item["where"])


def lowered(text: str) -> str:
    """A title within a sentence."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _level(audit: Data) -> float:
    return float(audit["options"]["level"])
