"""The gate: conditions under which an audit fails, judged in words.

A condition says what must *not* be, as ``--fail-on`` takes it::

    [bound(] [scope(] name [)] [)] [@ columns] < | <= | > | >= number

- ``name``: a gap (``equalized_odds_difference``) or a metric (``accuracy``) of the audit, or one of
  fairlearn's names for it. A metric without a scope is meant overall.
- ``scope``: ``min`` or ``max`` of a metric over the groups, or ``overall``.
- ``bound``: ``value`` (as without), or ``lower`` or ``upper`` for that end of the interval, so that
  ``lower(equalized_odds_difference) > 0.1`` fails only if the whole interval lies above 0.1, and
  ``upper(min(accuracy)) < 0.7`` only if that of some group lies below 0.7.
- ``columns``: the cross of sensitive columns, ``sex × race`` or ``sex, race``; none: every cross
  that is compared, and the worst decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isfinite, isnan
from typing import cast

from evaluation.audit.gate_names import (
    Bound,
    Comparator,
    Condition,
    Known,
    Scope,
    check_names,
)
from evaluation.audit.gate_values import Found, look_up
from evaluation.audit.outcome import Audit, Estimate, Verdict
from evaluation.errors import InputError

UPWARD = (">", ">=")
"""Those of which larger values are the failing ones."""
WORDS = {"<": "below", "<=": "at or below", ">": "above", ">=": "at or above"}
BOUNDS: tuple[Bound, ...] = ("value", "lower", "upper")
SCOPES: tuple[Scope, ...] = ("min", "max", "overall")

SYNTAX = (
    "condition {text!r} is not understood{why}: write for instance 'equalized_odds_difference > "
    "0.1', 'lower(demographic_parity_difference) > 0.05', 'min(accuracy) < 0.7' or "
    "'max(false_positive_rate) @ sex, race > 0.2'"
)
UNDEFINED = "{condition}: could not be audited, {what} is undefined {where}{why}"
TOO_FEW = " (too few groups with enough rows of what it rests on{withheld})"
WITHHELD = "; or withheld by redaction: judge without --redact, where the report stays with you"
PARTLY = "{condition}: could not be audited, {what} {where} is not defined in every part: {why}"
NO_INTERVAL = (
    "{condition}: could not be audited, {what} has no interval {where}; judge the value itself"
)
COARSE = (
    "it comes from bins of scores and may be off by {error:.4g}, to the other side of the limit, "
    "so it does not hold: count with more --bins, or audit the rows themselves, which needs none"
)

_WHOLE = re.compile(
    r"\s*(?P<quantity>[^@<>=]*?)\s*(?:@(?P<columns>.*?))?(?P<op><=|>=|<|>)\s*(?P<number>[^<>=]*?)\s*",
    re.DOTALL,
)
_CALL = re.compile(r"(\w+)\s*\(\s*(.*?)\s*\)", re.DOTALL)
_NAME = re.compile(r"\w+")


def parse_condition(text: str) -> Condition:
    """Read a condition; see the module for the grammar.

    >>> parse_condition("lower(equalized_odds_difference) @ sex > 0.1").columns
    'sex'

    Raises
    ------
    InputError
        If it is not understood. Names are checked against an audit by `judge`.
    """
    found = _WHOLE.fullmatch(text)
    if found is None:
        raise _syntax(text, "it needs a name, one of < <= > >=, and a number")
    name, bound, scope = _quantity(text, found["quantity"])
    columns = found["columns"]
    if columns is not None and not columns.strip():
        raise _syntax(text, "no column follows the @")
    return Condition(
        text=" ".join(text.split()),
        name=name,
        comparator=cast(Comparator, found["op"]),
        number=_number(text, found["number"]),
        bound=bound,
        scope=scope,
        columns=(columns or "").strip(),
    )


def check_gate(conditions: Sequence[Condition], known: Known) -> None:
    """Refuse conditions on what an audit will not have, before anything is read."""
    for condition in conditions:
        check_names(known, condition)


def judge(audit: Audit, conditions: Sequence[Condition]) -> tuple[Verdict, ...]:
    """Judge an audit by conditions, each in the comparison where it fares worst.

    A condition on what is undefined, or lacks a part that is not defined, fails where the rest
    fails it; it never holds, but could not be audited. Without columns, comparisons of fewer than
    two groups are passed over and named, as long as there is another one.

    Raises
    ------
    InputError
        If a condition names what the audit does not have.
    """
    return tuple(_verdict(audit, condition) for condition in conditions)


def looked_at(audit: Audit, conditions: Sequence[Condition]) -> set[tuple[int, str]]:
    """Gaps that conditions look at: place of the comparison (scores last), and name."""
    found = (one for condition in conditions for one in look_up(audit, condition))
    return {one.gap for one in found if one.gap is not None}


def _quantity(text: str, quantity: str) -> tuple[str, Bound, Scope | None]:
    bound: Bound = "value"
    scope: Scope | None = None
    outer = _CALL.fullmatch(quantity)
    if outer is not None and outer[1] in BOUNDS:
        bound, quantity = cast(Bound, outer[1]), outer[2]
    inner = _CALL.fullmatch(quantity)
    if inner is not None and inner[1] in SCOPES:
        scope, quantity = cast(Scope, inner[1]), inner[2]
    if _NAME.fullmatch(quantity) is None:
        known = ", ".join((*BOUNDS, *SCOPES))
        raise _syntax(text, f"{quantity!r} is no name; what takes brackets is {known}")
    return quantity, bound, scope


def _number(text: str, written: str) -> float:
    try:
        number = float(written)
    except ValueError:
        raise _syntax(text, f"{written!r} is no number") from None
    if not isfinite(number):
        raise _syntax(text, f"{written!r} is not finite")
    return number


def _syntax(text: str, why: str) -> InputError:
    return InputError(SYNTAX.format(text=text, why=f" ({why})"))


def _verdict(audit: Audit, condition: Condition) -> Verdict:
    found = look_up(audit, condition)
    compared = [one for one in found if one.groups > 1 or not isnan(one.estimate.value)]
    if condition.columns or not compared:
        compared = list(found)
    withheld = WITHHELD if audit.options.redact else ""
    unknown = {
        one.where: why for one in compared if (why := _not_audited(condition, one, withheld))
    }
    defined = [one for one in compared if not isnan(condition.compared(one.estimate))]
    if not defined:
        return _outcome(condition, compared[0].estimate, "; ".join(unknown.values()), held=None)
    worst = (max if condition.comparator in UPWARD else min)(
        defined, key=lambda one: condition.compared(one.estimate)
    )
    held = not condition.fails(condition.compared(worst.estimate))
    if held and unknown:
        first = next(one for one in compared if one.where in unknown)
        return _outcome(condition, first.estimate, "; ".join(unknown.values()), held=None)
    hidden = [one for one in defined if condition.undecided(one.estimate)]
    if held and hidden:
        worst, held = hidden[0], False
    passed = [one.where for one in found if isnan(one.estimate.value)]
    message = _message(condition, worst, passed, audit.options.level)
    return _outcome(condition, worst.estimate, message, held=held)


def _not_audited(condition: Condition, one: Found, withheld: str) -> str:
    """Why a quantity cannot be held against a limit; empty where it can."""
    words = {"condition": condition.text, "what": one.title, "where": one.where}
    lacks = "; ".join(one.estimate.lacks)
    if isnan(one.estimate.value):
        why = f" ({lacks})" if lacks else TOO_FEW.format(withheld=withheld)
        return UNDEFINED.format(**words, why=why)
    if lacks:
        return PARTLY.format(**words, why=lacks)
    return NO_INTERVAL.format(**words) if isnan(condition.compared(one.estimate)) else ""


def _outcome(condition: Condition, own: Estimate, message: str, *, held: bool | None) -> Verdict:
    """The verdict; `held` is None where it could not be audited."""
    audited, held = held is not None, bool(held)
    return Verdict(condition.text, held, own.value, own.low, own.high, own.n, message, audited)


def _message(condition: Condition, one: Found, undefined: Sequence[str], level: float) -> str:
    """Value, interval, rows, limit, and what the interval says of it."""
    estimate = one.estimate
    bounded = not (isnan(estimate.low) or isnan(estimate.high))
    ends = f"{estimate.low:.4g} to {estimate.high:.4g}" if bounded else "not known"
    parts = [
        f"{one.title} is {estimate.value:.4g} ({100 * level:g} % interval {ends}, "
        f"n = {estimate.n:,}) {one.where}",
        _compared(condition, one),
        one.detail,
        *one.estimate.lacks,
    ]
    if bounded and condition.fails(estimate.low) != condition.fails(estimate.high):
        parts.append("the interval reaches to both sides of the limit")
    if condition.undecided(one.estimate):
        parts.append(COARSE.format(error=estimate.binning))
    if one.chance > 0:
        parts.append(f"chance alone makes up to {one.chance:.4g}")
    if undefined:
        parts.append(f"undefined {', '.join(undefined)}")
    return "; ".join(part for part in parts if part)


def _compared(condition: Condition, one: Found) -> str:
    what = {"value": "this", "lower": "the lower end", "upper": "the upper end"}[condition.bound]
    verb = "is" if condition.fails(condition.compared(one.estimate)) else "is not"
    return f"{what} {verb} {WORDS[condition.comparator]} the limit of {condition.number:g}"
