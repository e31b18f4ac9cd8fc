"""Small counts out of a report: what it says shall not tell how many are in a small cell.

Works on the plain data of a report, from which every page is made, so nothing is left out by
forgetting a page. It hides single small numbers; somebody who combines many crosses may still
narrow one down. Against that, count with noise (`fairfed audit count --epsilon`).
"""

from __future__ import annotations

import re
from typing import Any

ROUGH = "about {}"
"""Instead of a count that would give a small one away by subtraction."""
DIGITS = 2
"""Of the numbers beside such a count, which could be told from an exact rate."""
_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d+)"
_COUNTED = re.compile(rf"(?<![\d.,])(?<!fewer than ){_NUMBER}(?=\s(?:rows?|people|examples?)\b)")
_N = re.compile(rf"(\bn\s?=\s?){_NUMBER}(?![\d.,])")
Data = dict[str, Any]


def redacted(audit: Data, most: int) -> Data:
    """Replace counts from 1 to `most` by ``"<= most"``, and withhold what rests on them.

    Withheld (None) are: estimates over so few rows; proportions with so small a numerator, or so
    small a rest; gaps one end of which is withheld. Where one part alone of a known total is small,
    the next smallest would give it away: it is rounded (``"about 900"``), and so are all numbers of
    that cross.

    Parameters
    ----------
    audit : dict
        Of `evaluation.export.plain` of an `Audit`; it is not changed.
    most : int
        0 changes nothing.
    """
    if most <= 0:
        return audit
    names = audit["schema"]["clients"]
    rows = {item["client"]: item["n"] for item in audit["contributions"]}
    shares = dict(zip(rows, _parts(list(rows.values()), most), strict=True))
    few = {client for client, n in shares.items() if _few(n)}
    rough = any(map(_rough, shares.values()))
    comparisons = [_comparison(item, most) for item in audit["comparisons"]]
    # Where a cross is rounded, no other place may tell how many rows its groups have together.
    rounded = any(_rough(n) for c in comparisons for n in (*c["rows"], c["suppressed_rows"]))
    total = audit["n"] if rounded else None
    return audit | {
        "n": _count(audit["n"], most),
        "notes": [redacted_text(note, most) for note in audit["notes"]],
        "comparisons": comparisons,
        "scores": [_scores(item, most) for item in audit["scores"]],
        "clients": _clients(audit["clients"], [name in few for name in names]),
        "contributions": [
            _rounded(item, rough)
            | {"n": shares[item["client"]]}
            | (dict.fromkeys(("without", "share", "own")) if item["client"] in few else {})
            for item in audit["contributions"]
        ],
        "subgroups": [_subgroup(item, most) for item in audit["subgroups"]],
        "gate": [_verdict(item, most, total) for item in audit["gate"]],
    }


def redacted_text(text: str, most: int) -> str:
    """The same for counts of rows in a sentence."""

    def small(found: str) -> bool:
        return 1 <= int(found.replace(",", "")) <= most

    text = _COUNTED.sub(lambda m: f"<= {most}" if small(m[1]) else m[0], text)
    return _N.sub(lambda m: f"{m[1].rstrip('= ')} <= {most}" if small(m[2]) else m[0], text)


def _count(value: int, most: int) -> int | str:
    return f"<= {most}" if 1 <= value <= most else value


def _few(n: int | str) -> bool:
    return isinstance(n, str) and n.startswith("<=")


def _rough(n: int | str) -> bool:
    return isinstance(n, str) and not _few(n)


def _parts(counts: list[int], most: int) -> list[int | str]:
    """Counts that add to a known total."""
    shown = [_count(n, most) for n in counts]
    others = [i for i, n in enumerate(shown) if isinstance(n, int) and n > 0]
    if sum(map(_few, shown)) == 1 and others:
        next_one = min(others, key=lambda i: counts[i])
        shown[next_one] = _about(counts[next_one], most)
    return shown


def _about(n: int, most: int) -> str:
    unit = 10 * (1 + most // 5)
    return ROUGH.format(max(unit, unit * round(n / unit)))


def _rounded(value: Any, rough: bool) -> Any:
    """Numbers that are not whole, but for p-values, to few digits."""
    if not rough:
        return value
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, list):
        return [_rounded(item, rough) for item in value]
    if isinstance(value, dict):
        tests = ("p", "p_holm", "p_bh")
        return {k: v if k in tests else _rounded(v, rough) for k, v in value.items()}
    return value


def _estimate(value: Data, most: int, *, hide: bool = False, n: int | str | None = None) -> Data:
    """An estimate, withheld where it has to be; `n` where its group's rows are rounded."""
    few = hide or _small(value, most)
    empty = {"value": None, "low": None, "high": None} if few else {}
    shown = n if n is not None and _rough(n) else _count(value["n"], most)
    return value | {"n": shown} | empty


def _small(value: Data, most: int) -> bool:
    n, share = value["n"], value["value"]
    if 1 <= n <= most:
        return True
    if value["how"] not in ("wilson", "exact") or share is None:
        return False
    cases = round(share * n)
    return bool(1 <= cases <= most or 1 <= n - cases <= most)


def _metric(item: Data, rows: list[int | str], most: int) -> Data:
    overall = item["overall"]
    about = _about(overall["n"], most) if any(map(_rough, rows)) and overall["n"] else None
    return item | {
        "overall": _estimate(overall, most, n=about),
        "groups": [
            _estimate(own, most, hide=_few(n), n=n)
            for own, n in zip(item["groups"], rows, strict=True)
        ],
    }


def _gaps(
    gaps: list[Data], metrics: list[Data], groups: list[str], most: int, *, rough: bool
) -> list[Data]:
    known = {
        metric["name"]: {
            group
            for group, own in zip(groups, metric["groups"], strict=True)
            if own["value"] is None
        }
        for metric in metrics
    }
    every = set().union(*known.values()) if known else set()
    found = []
    for gap in gaps:
        gone = known.get(gap["metric"], every)
        ends = {gap["lowest"], gap["highest"]} - {""}
        hide = bool(gone & ends) if ends else bool(gone)
        n = gap["estimate"]["n"]
        about = _about(n, most) if rough and n > most else None
        own = _estimate(gap["estimate"], most, hide=hide, n=about)
        found.append(gap | {"estimate": own})
    return found


def _comparison(item: Data, most: int) -> Data:
    *rows, rest = _parts([*item["rows"], item["suppressed_rows"]], most)
    rough = any(map(_rough, (*rows, rest)))
    metrics = [_metric(metric, rows, most) for metric in item["metrics"]]
    gaps = _gaps(item["gaps"], metrics, item["groups"], most, rough=rough)
    found: Data = _rounded({"metrics": metrics, "gaps": gaps}, rough)
    return item | {"rows": rows, "suppressed_rows": rest} | found


def _scores(item: Data, most: int) -> Data:
    first = item["metrics"][0]["groups"] if item["metrics"] else []
    sizes = [own["n"] for own in first] or [0] * len(item["groups"])
    rows = _parts(sizes, most)
    hidden = [_few(n) for n in rows]
    rough = any(map(_rough, rows))
    metrics = [_metric(metric, rows, most) for metric in item["metrics"]]
    gaps = _gaps(item["gaps"], metrics, item["groups"], most, rough=rough)
    found: Data = _rounded({"metrics": metrics, "gaps": gaps}, rough)
    return (
        item
        | found
        | {
            "densities": [
                [None if hide or 1 <= round(share * n) <= most else share for share in own]
                for own, n, hide in zip(item["densities"], sizes, hidden, strict=True)
            ],
            "calibration": [
                [_calibrated(point, most, hide) for point in own]
                for own, hide in zip(item["calibration"], hidden, strict=True)
            ],
        }
    )


def _calibrated(point: list[Any], most: int, hide: bool) -> list[Any]:
    mean, rate, n = point
    cases = 0 if rate is None else round(rate * n)
    few = hide or n <= most or 1 <= cases <= most or 1 <= n - cases <= most
    return [mean, None if few else rate, None if hide else _count(n, most)]


def _clients(item: Data | None, few: list[bool]) -> Data | None:
    if item is None or not any(few) or len(few) != len(item["accuracies"]):
        return item
    accuracies = [None if h else v for v, h in zip(item["accuracies"], few, strict=True)]
    return item | {"accuracies": accuracies, "worst": None, "best": None, "worst_decile": None}


def _subgroup(item: Data, most: int) -> Data:
    own = _estimate(item["estimate"], most)
    gone = dict.fromkeys(("shortfall", "explains")) if own["value"] is None else {}
    return item | {"n": _count(item["n"], most), "estimate": own} | gone


def _verdict(item: Data, most: int, total: int | None) -> Data:
    """`total`: rows of the audit where all other counts are rounded."""
    n = item["n"]
    if not 1 <= n <= most:
        message = redacted_text(item["message"], most)
        if total is None or n in (0, total):
            return item | {"message": message}
        about = _about(n, most)
        return item | {"n": about, "message": _N.sub(f"n {about}", message)}
    word = "held" if item["held"] else "failed" if item["audited"] else "could not be audited"
    message = f"{item['condition']}: {word}; numbers withheld, they rest on <= {most} rows"
    none = dict.fromkeys(("value", "low", "high"))
    return item | none | {"n": _count(n, most), "message": message}
