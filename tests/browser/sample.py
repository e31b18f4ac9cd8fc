"""An audit made by hand from seeded counts, with every section; no metric code is used."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from evaluation.audit.options import AuditOptions
from evaluation.audit.outcome import (
    Audit,
    Comparison,
    Contribution,
    Estimate,
    Frontier,
    FrontierPoint,
    Gap,
    GroupMetric,
    ScoreComparison,
    ScoreMetric,
    Subgroup,
    Verdict,
)
from evaluation.audit.schema import Axis, Schema
from evaluation.clients import client_fairness
from evaluation.intervals import wilson_interval

SEX = ("female", "male", "other")
AGES = ("< 25", "25 to < 45", "45 to < 65", ">= 65")
CLIENTS = ("clinic A", "clinic B", "clinic C", "clinic D")
SKILL = {"female": 0.72, "male": 0.84, "other": 0.76}
METRICS = (
    ("accuracy", "Accuracy", "higher"),
    ("true_positive_rate", "Recall", "higher"),
    ("false_positive_rate", "False positive rate", "lower"),
    ("selection_rate", "Selection rate", "none"),
)


def made_audit(options: AuditOptions | None = None, **changes: Any) -> Audit:
    """A triage audit of 2,418 rows."""
    options = options or AuditOptions()
    rng = np.random.default_rng(3)
    crosses = [("sex",), ("age",), ("sex", "age")]
    audit = Audit(
        schema=Schema(
            task="classification",
            classes=("routine", "urgent"),
            axes=(Axis("sex", SEX), Axis("age", AGES, (25, 45, 65))),
            clients=CLIENTS,
            positive="urgent",
            bins=1024,
            columns=(("truth", "urgent"), ("prediction", "predicted"), ("score", "score")),
        ),
        options=options,
        n=2418,
        title="Triage, second quarter",
        source=("predictions/2026-*.parquet",),
        notes=("12 rows had no value of sex; they are the group (missing).",),
        comparisons=tuple(_comparison(by, rng) for by in crosses),
        scores=(_scores(rng),),
        clients=client_fairness([0.81, 0.79, 0.66, 0.83]),
        contributions=tuple(
            Contribution(name, n, "equalized_odds_difference @ sex", 0.134 - share, share, own)
            for name, n, share, own in zip(
                CLIENTS, (800, 700, 514, 404), (-0.012, 0.004, 0.047, -0.02),
                (0.08, 0.12, 0.31, 0.09), strict=True,
            )
        ),
        subgroups=_subgroups(),
        frontiers=_frontiers(),
        gate=(
            Verdict("equalized_odds_difference > 0.1", False, 0.134, 0.09, 0.18, 2418,
                    "equalized odds difference by sex is 13.4 points, above 10.0 (95 % interval "
                    "9.0 to 18.0, n = 2,418)"),
            Verdict("min(accuracy) < 0.6", True, 0.66, 0.6, 0.71, 320,
                    "lowest accuracy by age is 66.0 %, not below 60.0 % (95 % interval 60.0 to "
                    "71.0, n = 320)"),
        ),
        versions={"fairfed": "0.1.0", "numpy": "2.4.6", "python": "3.11.7"},
    )  # fmt: skip
    return replace(audit, **changes)


def rate(k: int, n: int) -> Estimate:
    """A proportion with Wilson's interval."""
    found = wilson_interval(k, n)
    return Estimate(found.value, found.low, found.high, n, "wilson")


def _comparison(by: tuple[str, ...], rng: np.random.Generator) -> Comparison:
    levels = [SEX[:2] if name == "sex" else AGES for name in by]
    groups = tuple(" × ".join(names) for names in product(*levels))
    rows = tuple(int(n) for n in rng.multinomial(2400, rng.dirichlet(np.full(len(groups), 9.0))))
    metrics = []
    for name, title, direction in METRICS:
        base = {"false_positive_rate": 0.2, "selection_rate": 0.35}.get(name, 0.0)
        skill = [base or SKILL.get(group.split(" × ")[0], 0.78) for group in groups]
        lift = -0.09 if ">= 65" in groups[-1] and not base else 0.0
        own = tuple(
            rate(int(rng.binomial(n, p + (lift if ">= 65" in g else 0.0))), n)
            for g, n, p in zip(groups, rows, skill, strict=True)
        )
        total = sum(round(e.value * e.n) for e in own)
        metrics.append(GroupMetric(name, title, direction, rate(total, sum(rows)), own))  # type: ignore[arg-type]
    few = ("other",) if "sex" in by else ()
    return Comparison(by, groups, rows, few, 18 if few else 0, tuple(metrics),
                      (*_gaps(groups, metrics), *_joined()))  # fmt: skip


def _gaps(groups: tuple[str, ...], metrics: list[GroupMetric]) -> tuple[Gap, ...]:
    found = []
    for metric in metrics:
        values = [e.value for e in metric.groups]
        low, high = int(np.argmin(values)), int(np.argmax(values))
        value = values[high] - values[low]
        ends = [metric.groups[i] for i in (low, high)]
        half = 1.96 * math.sqrt(sum(e.value * (1 - e.value) / e.n for e in ends))
        p = 2e-6 if value > 2 * half else 0.21
        n = sum(e.n for e in metric.groups)
        found.append(Gap(
            f"{metric.name}_difference", f"{metric.title} difference", metric.name, "difference",
            "between_groups", Estimate(value, max(0.0, value - half), value + half, n, "bootstrap"),
            groups[low], groups[high], 0.7 * half, p, min(1.0, 6 * p), min(1.0, 2 * p), 1.3 * half,
        ))  # fmt: skip
        ratio = values[low] / values[high]
        own = Estimate(ratio, ratio - 0.06, min(1.0, ratio + 0.05), n, "bootstrap")
        found.append(Gap(f"{metric.name}_ratio", f"{metric.title} ratio", metric.name, "ratio",
                         "between_groups", own, groups[low], groups[high]))  # fmt: skip
    return tuple(found)


def _joined() -> tuple[Gap, ...]:
    return (
        Gap("equalized_odds_difference", "Equalized odds difference", "equalized_odds",
            "difference", "between_groups", Estimate(0.134, 0.09, 0.18, 2400, "bootstrap"),
            chance=0.05, p=1e-5, p_holm=6e-5, p_bh=3e-5, detectable=0.07),
        Gap("undefined_difference", "Gap without rows", "accuracy", "difference",
            "between_groups", Estimate(math.nan)),
    )  # fmt: skip


def _scores(rng: np.random.Generator) -> ScoreComparison:
    groups, sizes = SEX[:2], (1180, 1220)
    own: list[tuple[str, str, Any, float]] = [
        ("roc_auc", "ROC AUC", "higher", 0.86),
        ("calibration_error", "Calibration error", "lower", 0.06),
    ]
    metrics = tuple(
        ScoreMetric(
            name, title, direction, "urgent", _around(a, 0.02, 2400),
            tuple(
                replace(_around(a + d, 0.03, n), binning=0.0007)
                for d, n in zip((-0.03, 0.03), sizes, strict=True)
            ),
        )
        for name, title, direction, a in own
    )  # fmt: skip
    densities = tuple(
        tuple(float(v) for v in rng.dirichlet(np.linspace(1, 9, 20)[::s])) for s in (1, -1)
    )
    calibration = tuple(
        tuple((b / 10 + 0.05, min(1.0, max(0.0, b / 10 + 0.05 + shift)), 118) for b in range(10))
        for shift in (-0.06, 0.01)
    )
    gap = Gap("roc_auc_difference", "ROC AUC difference", "roc_auc", "difference", "between_groups",
              Estimate(0.06, 0.03, 0.09, 2400, "bootstrap"), *groups)  # fmt: skip
    return ScoreComparison(("sex",), groups, metrics, (gap,), densities, calibration)


def _subgroups() -> tuple[Subgroup, ...]:
    table = (
        ({"sex": "female", "age": ">= 65"}, 78, 212, 0.204, 0.078, 0.31),
        ({"age": ">= 65"}, 130, 433, 0.2, 0.041, 0.28),
        ({"sex": "female", "age": "< 25"}, 41, 160, 0.216, -0.01, 0.05),
    )
    return tuple(
        Subgroup(tuple(where.items()), n, "error_rate", rate(k, n), rest, surely, explains)
        for where, k, n, rest, surely, explains in table
    )


def _around(value: float, half: float, n: int) -> Estimate:
    return Estimate(value, value - half, value + half, n, "bootstrap")


def _frontiers() -> tuple[Frontier, ...]:
    return tuple(
        Frontier(("sex",), SEX[:2], constraint, tuple(
            FrontierPoint(0.0134 * i, best - 0.0003 * (10 - i) ** 2,
                          (((0.4 + 0.01 * i, 1.0),), ((0.5, 0.7), (0.55, 0.3))))
            for i in range(11)
        ), (0.134, 0.785))
        for constraint, best in (("demographic_parity", 0.79), ("equalized_odds", 0.797))
    )  # fmt: skip
