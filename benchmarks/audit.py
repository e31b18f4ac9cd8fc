"""The audit against fairlearn, on 100 million rows, and in search of the worst subgroup.

Three questions, each in this run, on this machine:

1. Metrics with bootstrap intervals: 200,000 rows, 2 × 2 groups, 4 metrics, 1,000 replicates, and
   the point values alone, against `fairlearn.metrics.MetricFrame` on the same arrays in memory. Its
   replicates each go over all rows, so that it is timed at a few and scaled; that is said.
2. Counting rows of parquet files, larger than memory: seconds, peak memory, and whether the time
   grows as the rows do.
3. The worst of all subgroups of up to 3 of 8 sensitive columns, over a million rows.

Each part runs in a process of its own, so that its peak memory is its own.

    python benchmarks/audit.py --rows 1000000 5000000 --out audit_speed.json   # a quick look
    python benchmarks/audit.py --rows 5000000 20000000 100000000
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

METRICS = ("accuracy", "selection_rate", "true_positive_rate", "false_positive_rate")
PIECE = 5_000_000
"""Rows of one generated file."""
TARGETS = {
    "bootstrap_ratio": ("fairlearn / ours, 1,000 replicates", 10_000.0, ">="),
    "point_ratio": ("fairlearn / ours, point values", 20.0, ">="),
    "seconds_100m": ("seconds for 100 million rows (scaled from the most rows)", 60.0, "<="),
    "peak_gb": ("peak memory of reading, GB", 1.5, "<="),
    "growth": ("time per row, most rows / fewest", 1.3, "<="),
    "subgroup_seconds": ("seconds of the subgroup search", 10.0, "<="),
}


# 1. Metrics and intervals, against fairlearn


def against_fairlearn(rows: int, replicates: int, theirs: int, repeats: int) -> dict[str, Any]:
    """Time both on the same arrays; refuse to compare unless they agree to 1e-9."""
    from evaluation.audit.compare import compare_groups
    from evaluation.audit.options import AuditOptions
    from evaluation.audit.read import tally_arrays

    truth, predicted, groups = _labels(rows)

    def ours(n: int) -> Any:
        tally = tally_arrays(truth, predicted, groups, positive=1)
        options = AuditOptions(by=(tuple(groups),), metrics=METRICS, replicates=n)
        return compare_groups(tally, options)[0]

    def fairlearn(n: int) -> Any:
        from fairlearn import metrics as fair
        from sklearn.metrics import accuracy_score

        functions = {name: getattr(fair, name) for name in METRICS[1:]}
        bootstrap = {"n_boot": n, "ci_quantiles": [0.025, 0.975], "random_state": 0} if n else {}
        frame = fair.MetricFrame(
            metrics={"accuracy": accuracy_score, **functions},
            y_true=truth,
            y_pred=predicted,
            sensitive_features=groups,
            **bootstrap,
        )
        # What is lazy is part of the work.
        return frame.by_group, frame.overall, frame.difference(), frame.ratio()

    same = _agree(ours(0), fairlearn(0)[0])
    point = _median(lambda: ours(0), repeats)
    point_fairlearn = _median(lambda: fairlearn(0), max(repeats // 3, 1))
    boot = _median(lambda: ours(replicates), repeats)
    boot_fairlearn = _median(lambda: fairlearn(theirs), 1)
    per_replicate = max(boot_fairlearn - point_fairlearn, 0.0) / theirs
    scaled = point_fairlearn + replicates * per_replicate
    return {
        "rows": rows,
        "groups": same["groups"],
        "largest_difference": same["largest"],
        "point_seconds": point,
        "fairlearn_point_seconds": point_fairlearn,
        "point_ratio": point_fairlearn / point,
        "replicates": replicates,
        "bootstrap_seconds": boot,
        "fairlearn_replicates_timed": theirs,
        "fairlearn_bootstrap_seconds_scaled": scaled,
        "bootstrap_ratio": scaled / boot,
    }


def _labels(rows: int) -> tuple[Any, Any, dict[str, Any]]:
    rng = np.random.default_rng(0)
    groups = {"a": rng.integers(0, 2, rows), "b": rng.integers(0, 2, rows)}
    truth = (rng.random(rows) < 0.3 + 0.2 * groups["a"]).astype(np.int64)
    wrong = rng.random(rows) < 0.1 + 0.05 * groups["b"]
    return truth, np.where(wrong, 1 - truth, truth), groups


def _agree(ours: Any, by_group: Any) -> dict[str, Any]:
    """Compare every metric of every group."""
    named = {" × ".join(map(str, index)): row for index, row in by_group.iterrows()}
    if set(named) != set(ours.groups):
        raise RuntimeError(f"groups differ: {sorted(named)} and {sorted(ours.groups)}")
    values = {metric.name: metric for metric in ours.metrics}
    apart = [
        abs(values[name].groups[i].value - float(named[group][name]))
        for name in METRICS
        for i, group in enumerate(ours.groups)
    ]
    if max(apart) > 1e-9:
        raise RuntimeError(f"values differ from fairlearn's by {max(apart):.2g}")
    return {"groups": len(named), "largest": max(apart)}


# 2. Streaming


def streaming(rows: list[int]) -> dict[str, Any]:
    """Write each number of rows to parquet, and time the counting of it in a fresh process."""
    results = []
    for n in rows:
        with tempfile.TemporaryDirectory(prefix="audit-") as folder:
            started = time.perf_counter()
            in_process(generate, Path(folder), n)
            written = time.perf_counter() - started
            size = sum(path.stat().st_size for path in Path(folder).iterdir())
            result = in_process(count, Path(folder), n)
            results.append({**result, "megabytes": size / 2**20, "generated_in": written})
            print(f"  {n:,} rows: {result['seconds']:.2f} s, {result['peak_gb']:.2f} GB")
    most = max(results, key=lambda result: result["rows"])
    fewest = min(results, key=lambda result: result["rows"])
    return {
        "runs": results,
        "peak_gb": max(result["peak_gb"] for result in results),
        "seconds_100m": most["seconds"] * 1e8 / most["rows"],
        "growth": most["seconds"] / most["rows"] * fewest["rows"] / fewest["seconds"],
    }


def generate(folder: Path, rows: int) -> dict[str, Any]:
    """Write files of random predictions: truth, prediction, two int8 groups and a site as text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sites = pa.array([f"site {i:02d}" for i in range(20)])
    for i, start in enumerate(range(0, rows, PIECE)):
        rng, n = np.random.default_rng(i), min(PIECE, rows - start)
        columns: dict[str, Any] = {
            "y": rng.integers(0, 2, n, np.int8),
            "p": rng.integers(0, 2, n, np.int8),
            "sex": rng.integers(0, 2, n, np.int8),
            "race": rng.integers(0, 6, n, np.int8),
            "site": pa.DictionaryArray.from_arrays(rng.integers(0, 20, n, np.int8), sites),
        }
        pq.write_table(pa.table(columns), folder / f"{i:04d}.parquet", row_group_size=2**20)
    return {}


def count(folder: Path, rows: int) -> dict[str, Any]:
    """Count the rows of a folder; peak memory is that of the whole process, imports and all."""
    import pyarrow.dataset  # noqa: F401  (a second that is not of the rows)

    from evaluation.audit.read import ReadSettings, tally_files

    settings = ReadSettings("y", "p", sensitive=("sex", "race"), client="site", positive=1)
    started = time.perf_counter()
    tally = tally_files([folder], settings)
    seconds = time.perf_counter() - started
    if tally.n != rows:
        raise RuntimeError(f"counted {tally.n} of {rows} rows")
    return {"rows": rows, "seconds": seconds, "peak_gb": peak_gb()}


# 3. The worst subgroup


def subgroups(rows: int, columns: int) -> dict[str, Any]:
    """Search a million rows in which one subgroup of two columns is served worse."""
    from evaluation.audit.options import AuditOptions
    from evaluation.audit.read import tally_arrays
    from evaluation.audit.subgroups import search_subgroups

    rng = np.random.default_rng(0)
    groups = {f"g{i}": rng.integers(0, 4 + i % 2, rows) for i in range(columns)}
    truth = rng.integers(0, 2, rows)
    planted = (groups["g1"] == 2) & (groups["g4"] == 3)
    predicted = np.where(rng.random(rows) < np.where(planted, 0.3, 0.1), 1 - truth, truth)
    started = time.perf_counter()
    tally = tally_arrays(truth, predicted, groups, positive=1)
    counted = time.perf_counter() - started
    started = time.perf_counter()
    found = search_subgroups(tally, AuditOptions(depth=3)).found
    seconds = time.perf_counter() - started
    if not found or set(found[0].where) != {("g1", "2"), ("g4", "3")}:
        raise RuntimeError(f"the planted subgroup was not found first: {found[:1]}")
    return {
        "rows": rows,
        "columns": columns,
        "cells": 0 if tally.confusion is None else len(tally.confusion.keys),
        "counting_seconds": counted,
        "search_seconds": seconds,
        "subgroup_seconds": counted + seconds,
        "subgroup_peak_gb": peak_gb(),
    }


# Running and reporting


def in_process(function: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    """Run a part in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(function, args)


def peak_gb() -> float:
    """Largest resident memory of this process so far, in 10⁹ bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e9


def _median(function: Callable[[], Any], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def table(result: dict[str, Any]) -> str:
    """Every target with what was measured, as Markdown."""
    measured = {
        key: part[key] for part in result.values() if isinstance(part, dict) for key in part
    }
    lines = ["| what | measured | target | held |", "|---|---|---|---|"]
    for key, (title, target, sign) in TARGETS.items():
        if key in measured:
            value = measured[key]
            held = value >= target if sign == ">=" else value <= target
            lines.append(
                f"| {title} | {value:,.4g} | {sign} {target:,g} | {'yes' if held else 'no'} |"
            )
    return "\n".join(lines)


def main() -> None:
    """Measure the parts that are asked for and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["fairlearn", "streaming", "subgroups"],
                        choices=["fairlearn", "streaming", "subgroups"])  # fmt: skip
    parser.add_argument("--rows", nargs="+", type=int, default=[5_000_000, 20_000_000, 100_000_000])
    parser.add_argument("--theirs", type=int, default=5, help="fairlearn's timed replicates")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("docs/audit_speed.json"))
    args = parser.parse_args()
    result: dict[str, Any] = {"cpus": os.cpu_count(), "python": sys.version.split()[0]}
    if "fairlearn" in args.parts:
        print("metrics and intervals, against fairlearn …")
        result["fairlearn"] = in_process(
            against_fairlearn, 200_000, 1000, args.theirs, args.repeats
        )
    if "streaming" in args.parts:
        print("streaming …")
        result["streaming"] = streaming(args.rows)
    if "subgroups" in args.parts:
        print("the worst subgroup …")
        result["subgroups"] = in_process(subgroups, 1_000_000, 8)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
