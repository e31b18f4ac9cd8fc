"""Intervals of gaps that hold near equality too.

A gap is the largest of many differences, so its estimate lies too high, and percentiles of a
bootstrap lie higher still: near equality they never cover. Each end is therefore found by itself.

* **The end near equality** inverts a test (hybrid resampling: Chuang & Lai 2000): the groups'
  values are drawn together towards the overall value by a factor s from 1 to 0, sampling errors are
  added, and s is accepted while a gap as large as the one seen is not too rare. At s = 0 (no gap)
  the tail is all of 1 - level, as a gap of 0 can be missed on one side only; it falls to half of
  that as the gap grows to `RAMP` standard errors.
* **The far end** is the largest upper limit of all pairs of groups, by the square-and-add rule on
  the groups' own intervals (Newcombe 1998; MOVER, Zou & Donner 2008; on the logarithm for ratios).
  The true widest pair is among them, so no correction for many pairs is needed. Ratios to the
  overall value, and differences of metrics that are no proportions to it, take the two as
  independent, which is cautious: they share rows.

The sampling error of a proportion at p is ``sqrt(p̃(1-p̃)/n)`` with one row of each outcome added to
p̃ (as Agresti & Caffo 2000): a bootstrap takes a rate of 0 or 1 for certain. F1 has that of its
Jaccard index, a proportion; balanced accuracy those of the recalls whose mean it is. Measured
coverage: `docs/audit_coverage.json`, made by ``benchmarks/coverage.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.audit.gaps import GapKind, Rates, narrowed
from evaluation.audit.measured import Measured, proportion_errors
from evaluation.audit.metrics import f1_of_jaccard, jaccard_of_f1
from evaluation.metrics import Across, skipping_nan
from evaluation.rates import FloatArray

STEPS = 16
"""Factors s at which the near end is tested; between them the tail is interpolated."""
REACH = 6.0
"""Standard errors below the value seen beyond which no end is looked for."""
RAMP = 3.0
"""Standard errors at which both ends have half of the tail."""
CELLS = 400_000
"""Draws that are held at once: few enough for the processor's cache."""

Ends = tuple[float, float]


def gap_intervals(
    kinds: Sequence[GapKind],
    measured: Mapping[str, Measured],
    values: Mapping[str, float],
    across: Across,
    level: float,
) -> dict[str, Ends]:
    """Intervals of gaps by name; those that are undefined, or have no draws, are left out."""
    found: dict[str, Ends] = {}
    by_metrics: dict[tuple[str, ...], list[GapKind]] = {}
    for kind in kinds:
        drawn = all(measured[name].noise.shape[-1] for name in kind.of)
        if drawn and not np.isnan(values[kind.name]):
            by_metrics.setdefault(kind.of, []).append(kind)
    for names, same in by_metrics.items():
        parts = {name: measured[name] for name in names}
        near = _Same(same, parts, values, across).near_ends(1 - level)
        for kind in same:
            far = far_end(kind, parts, across)
            ends = sorted((near[kind.name], values[kind.name], far))
            found[kind.name] = (ends[0], ends[-1])
    return found


@dataclass(frozen=True, eq=False)
class _Same:
    """Gaps that are made of the same metrics, and their values by name."""

    kinds: Sequence[GapKind]
    parts: Mapping[str, Measured]
    values: Mapping[str, float]
    across: Across

    def near_ends(self, alpha: float) -> dict[str, float]:
        """The ends nearest to equality."""
        steps, draws = self._steps(), max(part.noise.size for part in self.parts.values())
        tested: dict[str, list[FloatArray]] = {kind.name: [] for kind in self.kinds}
        for some in np.array_split(steps, int(np.clip(len(steps) * draws / CELLS, 1, len(steps)))):
            for kind, gap, drawn in self._along(some):
                excess = _excess(kind, drawn, gap, self.values[kind.name], alpha)
                tested[kind.name].append(np.stack([gap, excess]))
        return {name: _crossing(*np.concatenate(own, axis=1)) for name, own in tested.items()}

    def _steps(self) -> FloatArray:
        """Factors to test: 0, and those within `REACH` standard errors of the values seen."""
        relative = 0.0
        for kind, _, drawn in self._along(np.ones(1)):
            far = abs(self.values[kind.name] - kind.fair)
            spread = float(skipping_sd(drawn)[0])
            relative = max(relative, spread / far if far > 0 else np.inf)
        lowest = max(0.0, 1 - REACH * relative)
        near = np.linspace(lowest, 1.0, STEPS)
        return near if lowest == 0 else np.concatenate([[0.0], near])

    def _along(self, steps: FloatArray) -> Iterator[tuple[GapKind, FloatArray, FloatArray]]:
        """Each gap on the path to equality, without and with sampling errors."""
        plain, noisy = {}, {}
        for name, part in self.parts.items():
            path = _path(part, steps)
            plain[name] = _seen(path, part)
            noisy[name] = narrowed(_seen(_noisy(part, path), part))
        for kind in self.kinds:
            yield kind, kind.value(plain, self.across), kind.value(noisy, self.across)


def _path(part: Measured, steps: FloatArray) -> FloatArray:
    """Values drawn towards the overall one: ``(groups, classes, steps)``."""
    overall = part.values[-1]
    return np.asarray(overall[:, None] + (part.values - overall)[..., None] * steps)


def _noisy(part: Measured, path: FloatArray) -> FloatArray:
    """The values of a path with sampling errors: ``(groups, classes, steps, draws)``."""
    noise = part.noise[:, :, None, :]
    if part.size is None:
        return path[..., None] + part.spread[..., None, None] * noise
    if part.jaccard:
        path = jaccard_of_f1(path)
    error = np.empty((*path.shape, noise.shape[-1]))
    own = proportion_errors(path[:-1], part.size[..., None])
    np.multiply(own[..., None], noise[:-1], out=error[:-1])
    error[-1] = np.einsum("gc,gcsd->csd", part.share, np.nan_to_num(error[:-1]))
    error += path[..., None]
    return f1_of_jaccard(error) if part.jaccard else error


def _seen(values: FloatArray, part: Measured) -> Rates:
    """As a gap wants it: the compared groups and classes last, no copy."""
    groups = np.moveaxis(values[: part.compared], (0, 1), (-2, -1))
    return groups, np.moveaxis(values[-1], 0, -1)[..., None, :]


def _excess(
    kind: GapKind, drawn: FloatArray, gap: FloatArray, value: float, alpha: float
) -> FloatArray:
    """How far each step is from being rejected: tail probability less what is asked of it."""
    if kind.kind == "ratio":
        # A negative draw of a rate would turn a ratio's sign.
        drawn = np.clip(drawn, 0.0, 1.0)
        beyond = (drawn <= value).mean(axis=-1)
    else:
        beyond = (drawn >= value).mean(axis=-1)
    spread = skipping_sd(drawn)
    far = np.abs(gap - kind.fair) / (RAMP * np.maximum(spread, 1e-12))
    return np.asarray(beyond - alpha + alpha / 2 * np.minimum(1.0, far) ** 2)


def skipping_sd(values: FloatArray) -> FloatArray:
    """Standard deviation over the defined values of the last axis; 0 where there is none."""
    mean = skipping_nan("mean", values, -1)[..., None]
    return np.sqrt(np.nan_to_num(skipping_nan("mean", (values - mean) ** 2, -1)))


def _crossing(gaps: FloatArray, excess: FloatArray) -> float:
    """The gap at the first step that is not rejected, interpolated."""
    accepted = np.flatnonzero(excess >= 0)
    if not accepted.size:
        return float(gaps[-1])
    first = int(accepted[0])
    if first == 0:
        return float(gaps[0])
    before, after = excess[first - 1], excess[first]
    share = before / (before - after)
    return float(gaps[first - 1] + share * (gaps[first] - gaps[first - 1]))


def far_end(kind: GapKind, parts: Mapping[str, Measured], across: Across) -> float:
    """The end farthest from equality."""
    sign = 1.0 if kind.kind == "difference" else -1.0
    reached = _differences if kind.kind == "difference" else _ratios
    pairs = [reached(kind, parts[name]) for name in kind.of]
    value, limit = (np.stack(own) for own in zip(*pairs, strict=True))  # (metrics, classes)
    metrics_joined = _joined(value, limit, 0, worst=kind.agg == "worst_case", sign=sign)
    joined = _joined(*metrics_joined, -1, worst=across == "worst", sign=sign)
    largest = max(parts[name].top for name in kind.of) if kind.kind == "difference" else 1.0
    return float(np.clip(joined[1], 0.0, largest))


def _joined(
    value: FloatArray, limit: FloatArray, axis: int, *, worst: bool, sign: float
) -> tuple[FloatArray, FloatArray]:
    """Join limits: the farthest one, or for a mean the root of the sum of squares."""
    if worst:
        how: Literal["max", "min"] = "max" if sign > 0 else "min"
        return skipping_nan(how, value, axis), skipping_nan(how, limit, axis)
    mean = skipping_nan("mean", value, axis)
    count = np.maximum((~np.isnan(value)).sum(axis=axis), 1)
    reach = np.sqrt(np.nansum((limit - value) ** 2, axis=axis)) / count
    return mean, mean + sign * reach


def _differences(kind: GapKind, part: Measured) -> tuple[FloatArray, FloatArray]:
    """Value and upper limit of a difference per class, over pairs of groups."""
    k = part.compared
    up, down = part.high - part.values, part.values - part.low
    theta = part.values[:k]
    if kind.method == "between_groups":
        gaps = theta[:, None] - theta[None, :]
        upper = gaps + np.sqrt(up[:k, None] ** 2 + down[None, :k] ** 2)
        same = np.eye(k, dtype=bool)[..., None]
        return _extreme("max", np.where(same, np.nan, gaps)), _extreme(
            "max", np.where(same, np.nan, upper)
        )
    if part.size is None or part.jaccard:
        own, others_down, others_up = np.ones_like(theta), down[-1] ** 2, up[-1] ** 2
    else:
        # The overall rate holds the group's own rows: only the others' part of it varies against.
        own = 1 - part.share[:k]
        below, above = (np.nan_to_num((part.share * d[:-1]) ** 2) for d in (down, up))
        others_down, others_up = below.sum(axis=0) - below[:k], above.sum(axis=0) - above[:k]
    gaps = theta - part.values[-1]
    higher = gaps + np.sqrt((own * up[:k]) ** 2 + others_down)
    lower = -gaps + np.sqrt((own * down[:k]) ** 2 + others_up)
    return _extreme("max", np.abs(gaps)[None]), _extreme("max", np.stack([higher, lower]))


def _ratios(kind: GapKind, part: Measured) -> tuple[FloatArray, FloatArray]:
    """Value and lower limit of a ratio per class, over pairs of groups."""
    k = part.compared
    theta = part.values[:k]
    if kind.method == "between_groups":
        top, bottom = (theta, part.low[:k]), (theta, part.high[:k])
        ratios, lower = _ratio_limit(
            (top[0][:, None], top[1][:, None]), (bottom[0][None], bottom[1][None])
        )
        same = np.eye(k, dtype=bool)[..., None]
        ratios, lower = np.where(same, np.nan, ratios), np.where(same, np.nan, lower)
        return _extreme("min", ratios), _extreme("min", lower)
    overall, overall_low, overall_high = part.values[-1:], part.low[-1:], part.high[-1:]
    under = _ratio_limit((theta, part.low[:k]), (overall, overall_high))
    over = _ratio_limit((overall, overall_low), (theta, part.high[:k]))
    return (
        _extreme("min", np.stack([under[0], over[0]])),
        _extreme("min", np.stack([under[1], over[1]])),
    )


def _ratio_limit(
    top: tuple[FloatArray, FloatArray], bottom: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Ratio of two values and its lower limit, squares added on the logarithm."""
    (value, low), (under, high) = top, bottom
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = value / under
        down, up = np.log(value / low), np.log(high / under)
        limit = ratio * np.exp(-np.sqrt(down**2 + up**2))
    # A rate of 0 may be truly 0: the ratio has no lower limit but 0.
    limit = np.where((value == 0) | (low <= 0), 0.0, limit)
    undefined = np.isnan(value) | np.isnan(under) | (under <= 0)
    return np.where(undefined, np.nan, ratio), np.where(undefined, np.nan, limit)


def _extreme(how: Literal["max", "min"], values: FloatArray) -> FloatArray:
    return skipping_nan(how, values.reshape(-1, values.shape[-1]), 0)
