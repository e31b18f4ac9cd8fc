"""Group fairness on tables: the protocols of FAIR-FATE and FairFed, against their published rows.

1. FAIR-FATE (Salazar et al. 2023, arXiv 2209.07850): COMPAS and Law, iid and Dirichlet 0.5 over
   label × group; MLP of 10 tanh units, plain SGD 0.01, batches of 10, 10 local epochs, 100 rounds
   of 3 of 10 (4 of 12) clients, split 60/20/20 with seed 10·run, min-max scaling. The mean of the
   last 10 rounds.
2. FairFed (Ezzeldin et al. 2023, arXiv 2110.00857): Adult and COMPAS at 5 clients, Dirichlet 0.1
   over the sensitive attribute, logistic regression. The last round. What the paper leaves open
   (rounds, learning rate) is ours.

A run continues where it was interrupted, and one that is done is not repeated: results are kept
by what the run's configuration says.

    python benchmarks/group_fairness.py --data /work/shared/data
    python benchmarks/group_fairness.py --quick --only compas            # one seed, a few rounds
    python benchmarks/group_fairness.py --table              # run nothing, print what is known
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from functools import reduce
from itertools import count, islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np
from _fairness_protocols import AS_PUBLISHED, COMPARED, METHODS, PROTOCOLS, Protocol, Settings
from _tables import mean_sd

from evaluation import get_metric
from evaluation.files import write_whole
from fairfed.config import Config
from fairfed.config.load import merged
from fairfed.rounds.run_directory import RunDirectory
from semantic.errors import InputError

Counts = np.ndarray[Any, np.dtype[np.int64]]

QUICK = 5
"""Rounds of a quick look."""
BETAS = (0.1, 1.0, 3.0)
"""FairFed's budgets, of which validation rows choose one for each setting."""
SWEPT = 2
"""Runs that the choice is made on."""
COST = 0.01
"""Accuracy below the best of the sweep that a budget may cost."""


def configure(
    protocol: Protocol, method: str, run: int, extra: Settings, options: argparse.Namespace
) -> tuple[Config, str]:
    """The configuration of one run, numbered from 1, and its key; `extra` settings come last."""
    own = merged(METHODS[method], protocol.own.get(method, {}))
    arm = {"name": method, **own.pop("arm", {})}
    this_run = {
        "name": f"{protocol.name} {method}",
        "seed": run,
        "workers": 1,
        "data": {"directory": str(options.data), "table": {"split_seed": 10 * run}},
        "arms": [arm],
    }
    settings = reduce(merged, (own, this_run, extra), protocol.settings)
    if options.quick:
        settings["rounds"] = QUICK
    if protocol.scaled:
        ranges = _extremes(Config.model_validate(settings))
        settings = merged(settings, {"data": {"table": {"ranges": ranges}}})
    config = Config.model_validate(merged(settings, AS_PUBLISHED))
    # The directory holds one exact configuration; the results' key only what is set here, so that
    # a new setting with a default does not make them void.
    where = options.work / _hash(config.to_toml())
    return config.model_copy(update={"out": str(where)}), _hash(json.dumps(settings))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _extremes(config: Config) -> dict[str, tuple[float, float]]:
    from fairfed.data.tables import load_table

    features = load_table(config).features
    numeric = config.data.table.numeric
    return {n: (float(features[n].min()), float(features[n].max())) for n in numeric}


def train(config: Config) -> float:
    """Run or continue; returns the seconds that it took."""
    from fairfed.server import run

    start = time.perf_counter()
    run(config, report=False)
    return time.perf_counter() - start


def measured(config: Config, protocol: Protocol) -> dict[str, float]:
    """Mean of every metric over the last rounds, by the test counts of all clients together."""
    described = json.loads((config.run_directory / "federation.json").read_text())
    first = described["groups"].index(protocol.unprivileged)
    rounds = [_pooled(row) for row in RunDirectory(config).rounds()[-protocol.tail :]]
    functions: dict[str, Callable[[Counts], float]] = {
        "accuracy": get_metric("accuracy"),
        "eqo_ratio": get_metric("equalized_odds_ratio_mean"),
        "eqo_difference": get_metric("equalized_odds_difference_mean"),
        "signed_eod": lambda counts: _signed(counts, first),
    }
    return {name: _mean([f(c) for c in rounds]) for name, f in functions.items()}


def _mean(values: list[float]) -> float:
    """Mean of those that are defined: a rate of 0 in every group has no ratio."""
    defined = [value for value in values if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _pooled(row: Settings) -> Counts:
    counts = [client["test_counts"] for client in row["clients"] if client["test_counts"]]
    return np.sum(counts, axis=0)


def _signed(counts: Counts, first: int) -> float:
    """True positive rate of one of two groups minus that of the other; positive: the last class."""
    hits, all_positive = counts[:, -1, -1], counts[:, -1].sum(-1)
    recall = hits / all_positive
    return float(recall[first] - recall[1 - first])


def table(rows: list[dict[str, Any]]) -> str:
    """Results in Markdown, with the published values in brackets."""
    names = ("accuracy", "eqo_ratio", "eqo_difference", "signed_eod")
    lines = ["| setting | method | runs | " + " | ".join(names) + " |"]
    lines.append("|---|---|---:|" + "---:|" * len(names))
    for protocol in PROTOCOLS:
        for method in METHODS:
            # By number: a run that a change of its settings has had repeated is one run.
            runs = {
                row["run"]: row["metrics"]
                for row in rows
                if (row["protocol"], row["method"]) == (protocol.name, method)
                if row["measured"] == "test"
            }
            if runs:
                known = protocol.published.get(method, {})
                cells = [_cell([r[name] for r in runs.values()], known.get(name)) for name in names]
                lines.append(f"| {protocol.name} | {method} | {len(runs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: list[float], published: float | None) -> str:
    """Mean ± sd of those that are defined, and how many they are where some are not."""
    defined = [value for value in values if not np.isnan(value)]
    text = mean_sd(defined, 3) if defined else "undefined"
    text += f" (n = {len(defined)})" if 0 < len(defined) < len(values) else ""
    return text if published is None else f"{text} [{published:.3f}]"


def plan(options: argparse.Namespace) -> Iterator[tuple[Protocol, str, int]]:
    """The runs that are asked for, all methods of a seed before the next seed."""
    for protocol in PROTOCOLS:
        if options.only not in protocol.name:
            continue
        seeds = 1 if options.quick else min(options.seeds or protocol.seeds, protocol.seeds)
        possible = (run for run in count(1) if divides(protocol, run, options))
        for number, run in enumerate(islice(possible, seeds)):
            for method in options.methods or protocol.methods:
                if number < protocol.others or method in COMPARED:
                    yield protocol, method, run


def divides(protocol: Protocol, run: int, options: argparse.Namespace) -> bool:
    """Say whether the partitioner finds a split in which every client has rows."""
    from fairfed.system import simulation_of

    if protocol.settings["partition"]["name"] == "iid":
        return True
    config, _ = configure(protocol, "FedAvg", run, {}, options)
    try:
        return len(simulation_of(config).names) > 0
    except InputError:
        return False


class Results:
    """What is known, kept in a file: every run is done once.

    Attributes
    ----------
    rows
        By the hash of a run's settings.
    asked
        Keys of what was asked for, known or not.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.asked: set[str] = set()
        path: Path = options.out
        self.rows: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def of(self, protocol: Protocol, method: str, run: int, extra: Settings) -> dict[str, float]:
        """Metrics of one run, which is trained if they are not known."""
        config, key = configure(protocol, method, run, extra, self._options)
        self.asked.add(key)
        if key not in self.rows:
            seconds = train(config)
            self.rows[key] = {
                "protocol": protocol.name,
                "method": method,
                "run": run,
                "rounds": config.rounds,
                "beta": config.fairness.beta,
                "measured": config.data.table.measure,
                "seconds": round(seconds, 1),
                "metrics": measured(config, protocol),
            }
            text = json.dumps(self.rows, indent=1) + "\n"
            write_whole(self._options.out, text.encode())
            print(f"{protocol.name}, {method}, run {run}, {extra}: {seconds:.0f} s", flush=True)
        found: dict[str, float] = self.rows[key]["metrics"]
        return found

    def budget(self, protocol: Protocol, method: str) -> float:
        """FairFed's β with the least gap on validation rows, at a bounded cost of accuracy."""
        found = {}
        for beta in BETAS:
            extra = {"fairness": {"beta": beta}, "data": {"table": {"measure": "validation"}}}
            runs = [self.of(protocol, method, run, extra) for run in range(1, SWEPT + 1)]
            found[beta] = [
                np.mean([run[name] for run in runs]) for name in ("accuracy", "signed_eod")
            ]
        least = max(accuracy for accuracy, _ in found.values()) - COST
        allowed = [beta for beta, (accuracy, _) in found.items() if accuracy >= least]
        return min(allowed, key=lambda beta: abs(found[beta][1]))


def main() -> None:
    """Run what is asked for and not yet known; write JSON and print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("/work/shared/data"))
    parser.add_argument("--work", type=Path, default=Path("runs/group_fairness"))
    parser.add_argument("--out", type=Path, default=Path("docs/group_fairness.json"))
    parser.add_argument("--only", default="", help="settings whose name has this in it")
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), help="all, unless given")
    parser.add_argument("--seeds", type=int, help="runs of each; the papers', unless given")
    parser.add_argument("--quick", action="store_true", help="one run of 5 rounds of each")
    parser.add_argument("--table", action="store_true", help="run nothing, print what is known")
    options = parser.parse_args()
    results = Results(options)
    if options.table:
        print(table(list(results.rows.values())))
        return
    if not options.data.is_dir():
        print(f"no folder {options.data}: give --data, with adult.data, compas.csv and law.csv")
        return
    logging.getLogger("fairfed").setLevel(logging.WARNING)
    for protocol, method, run in plan(options):
        steers = METHODS[method].get("arm", {}).get("rule") == "fairfed"
        swept = steers and not protocol.scaled and not options.quick
        extra = {"fairness": {"beta": results.budget(protocol, method)}} if swept else {}
        results.of(protocol, method, run, extra)
    print(table([results.rows[key] for key in sorted(results.asked)]))


if __name__ == "__main__":
    main()
