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

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Literal, cast

from evaluation.audit.gate_values import Bound, Found, Scope, Wanted, look_up
from evaluation.audit.outcome import Audit, Verdict
from evaluation.errors import InputError

Comparator = Literal["<", "<=", ">", ">="]

COMPARATORS: dict[Comparator, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
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
UNDEFINED = (
    "{condition}: could not be audited, {what} is undefined {where} (too few groups with enough "
    "rows of what it rests on{withheld})"
)
WITHHELD = "; or withheld by redaction: judge without --redact, where the report stays with you"
NO_INTERVAL = (
    "{condition}: could not be audited, {what} has no interval {where}; ask for bootstrap "
    "replicates, or judge the value itself"
)

_WHOLE = re.compile(
    r"\s*(?P<quantity>[^@<>=]*?)\s*(?:@(?P<columns>.*?))?(?P<op><=|>=|<|>)\s*(?P<number>[^<>=]*?)\s*",
    re.DOTALL,
)
_CALL = re.compile(r"(\w+)\s*\(\s*(.*?)\s*\)", re.DOTALL)
_NAME = re.compile(r"\w+")


@dataclass(frozen=True)
class Condition:
    """What makes an audit fail.

    Parameters
    ----------
    text : str
        As the user wrote it.
    name : str
        Gap or metric.
    comparator : {"<", "<=", ">", ">="}
        The audit fails where the quantity compares so to `number`.
    number : float
        Finite.
    bound : {"value", "lower", "upper"}
        What of the estimate is compared.
    scope : {"min", "max", "overall"}, optional
        Of a metric by group.
    columns : str
        Sensitive columns, as written; empty: every cross.
    """

    text: str
    name: str
    comparator: Comparator
    number: float
    bound: Bound = "value"
    scope: Scope | None = None
    columns: str = ""

    def fails(self, value: float) -> bool:
        """Whether a defined value makes the audit fail."""
        return COMPARATORS[self.comparator](value, self.number)

    @property
    def wanted(self) -> Wanted:
        """What is to be looked up."""
        return Wanted(self.text, self.name, self.bound, self.scope, self.columns)

    def compared(self, found: Found) -> float:
        """What of a quantity is held against `number`."""
        return self.wanted.compared(found.estimate)


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


def judge(audit: Audit, conditions: Sequence[Condition]) -> tuple[Verdict, ...]:
    """Judge an audit by conditions, each in the comparison where it fares worst.

    Without columns, comparisons in which the quantity is undefined are passed over and named, as
    long as there is another one; with columns it has to be defined.

    Raises
    ------
    InputError
        If a condition names what the audit does not have, or what is undefined: it could not be
        audited.
    """
    return tuple(_verdict(audit, condition) for condition in conditions)


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
    found = look_up(audit, condition.wanted)
    undefined = [one for one in found if isnan(one.estimate.value)]
    if len(undefined) == len(found) or (undefined and condition.columns):
        withheld = WITHHELD if audit.options.redact else ""
        raise _not_audited(UNDEFINED, condition, undefined, withheld=withheld)
    defined = [one for one in found if not isnan(one.estimate.value)]
    unbounded = [one for one in defined if isnan(condition.compared(one))]
    if unbounded:
        raise _not_audited(NO_INTERVAL, condition, unbounded)
    worst = (max if condition.comparator in UPWARD else min)(defined, key=condition.compared)
    estimate = worst.estimate
    return Verdict(
        condition=condition.text,
        held=not condition.fails(condition.compared(worst)),
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        message=_message(condition, worst, undefined, audit.options.level),
    )


def _not_audited(
    message: str, condition: Condition, found: Sequence[Found], **more: str
) -> InputError:
    where = ", ".join(one.where for one in found)
    return InputError(
        message.format(condition=condition.text, what=found[0].title, where=where, **more)
    )


def _message(condition: Condition, one: Found, undefined: Sequence[Found], level: float) -> str:
    """Value, interval, rows, limit, and what the interval says of it."""
    estimate = one.estimate
    bounded = not (isnan(estimate.low) or isnan(estimate.high))
    ends = f"{estimate.low:.4g} to {estimate.high:.4g}" if bounded else "not known"
    parts = [
        f"{one.title} is {estimate.value:.4g} ({100 * level:g} % interval {ends}, "
        f"n = {estimate.n:,}) {one.where}",
        _compared(condition, one),
        one.detail,
    ]
    if bounded and condition.fails(estimate.low) != condition.fails(estimate.high):
        parts.append("the interval reaches to both sides of the limit")
    if one.chance > 0:
        parts.append(f"chance alone makes up to {one.chance:.4g}")
    if undefined:
        parts.append(f"undefined {', '.join(other.where for other in undefined)}")
    return "; ".join(part for part in parts if part)


def _compared(condition: Condition, one: Found) -> str:
    what = {"value": "this", "lower": "the lower end", "upper": "the upper end"}[condition.bound]
    verb = "is" if condition.fails(condition.compared(one)) else "is not"
    return f"{what} {verb} {WORDS[condition.comparator]} the limit of {condition.number:g}"
