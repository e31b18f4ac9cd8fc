"""The worst finding of an audit, which it is headed by, and what its gate did not look at."""

from __future__ import annotations

from evaluation.audit.gaps import ODDS, canonical
from evaluation.audit.gate import parse_condition
from evaluation.audit.gate_names import columns_of
from evaluation.audit.metrics import ALIASES
from evaluation.audit.report.judged import CLEAR, Data, cross, gap_unit, is_finding, state
from evaluation.audit.report.words import lowered, sentence, worst_subgroup
from evaluation.numbers import gap

NONE_SHOWN = "No gap can be told from chance with these rows."
ERROR = "mean_absolute_error"
"""Of a regression, the errors of which sizes are compared: squares have another unit."""


def headline(audit: Data) -> str:
    """The worst finding: the largest of the clear gaps and the subgroups that are surely worse."""
    if audit["n"] == 0:
        return "There is no row: nothing was audited."
    found = _gaps(audit)
    if not found:
        return (
            "There are not two groups to compare: gaps are undefined, and this audit can say how "
            "good the predictions are but not how even."
        )
    clear = [item for item in found if _clear(audit, item[1])]
    surely = [item for item in audit["subgroups"] if (item["shortfall"] or 0) > 0]
    worst = max(clear, key=_size) if clear else None
    subgroup = max(surely, key=_behind, default=None)
    if subgroup is not None and (worst is None or _behind(subgroup) > _size(worst)[0]):
        return worst_subgroup(subgroup)
    if worst is not None:
        return sentence(audit, *worst) + "."
    largest = lowered(sentence(audit, *max(found, key=_size)))
    return f"{NONE_SHOWN} The largest: {largest}."


def gate(audit: Data) -> str:
    """The gate's outcome, and what it did not check."""
    unknown = [v for v in audit["gate"] if not v["audited"]]
    failed = [v for v in audit["gate"] if v["audited"] and not v["held"]]
    total = len(audit["gate"])
    parts = [
        f"✘ {len(own)} of {total} {words}: {'; '.join(v['message'] for v in own)}."
        for own, words in ((failed, "failed"), (unknown, "could not be audited"))
        if own
    ]
    held = f"✔ all {total} conditions held." if total > 1 else "✔ it held."
    return " ".join(part for part in ("Gate:", *(parts or [held]), unchecked(audit)) if part)


def unchecked(audit: Data) -> str:
    """Clear gaps and subgroups that no condition of the gate is about; empty if there is none."""
    left = [
        (comparison, item)
        for comparison, item in _gaps(audit)
        if _clear(audit, item) and item["metric"] not in _checked(audit, comparison)
    ]
    surely = sum((item["shortfall"] or 0) > 0 for item in audit["subgroups"])
    parts = []
    if left:
        comparison, item = max(left, key=_size)
        value = gap(item["estimate"]["value"], gap_unit(audit, item))
        what = "1 clear gap" if len(left) == 1 else f"{len(left)} clear gaps, the largest"
        parts.append(f"{what}: {lowered(item['title'])} by {cross(comparison['by'])}, {value}")
    if surely:
        parts.append(f"{surely} subgroup{'' if surely == 1 else 's'} surely served worse")
    return f"It did not check {'; nor '.join(parts)}." if parts else ""


def _gaps(audit: Data) -> list[tuple[Data, Data]]:
    """Gaps that findings are made of, of a regression those of one unit."""
    found = [
        (comparison, item)
        for comparison in audit["comparisons"]
        for item in comparison["gaps"]
        if is_finding(item) and item["estimate"]["value"] is not None
    ]
    if audit["schema"]["task"] != "regression":
        return found
    return [pair for pair in found if pair[1]["metric"] == ERROR] or found


def _clear(audit: Data, item: Data) -> bool:
    return state(item, float(audit["options"]["level"])) == CLEAR


def _size(pair: tuple[Data, Data]) -> tuple[float, bool]:
    """Order of gaps: by value; of equal ones first that between two named groups."""
    return pair[1]["estimate"]["value"], bool(pair[1]["lowest"])


def _behind(subgroup: Data) -> float:
    return float(subgroup["estimate"]["value"] - subgroup["rest"])


def _checked(audit: Data, comparison: Data) -> set[str]:
    """Metrics of which some condition of the gate judges the gap, or a group, in a comparison."""
    named = {item["name"]: item["metric"] for item in comparison["gaps"]}
    found: set[str] = set()
    for verdict in audit["gate"]:
        asked = parse_condition(verdict["condition"])
        if asked.columns and columns_of(asked.columns) != sorted(comparison["by"]):
            continue
        if asked.scope in ("min", "max"):
            found.add(ALIASES.get(asked.name, asked.name))
        found.add(named.get(canonical(asked.name), ""))
    return found.union(ODDS) if "equalized_odds" in found else found
