"""What a sum under masks costs a site and the server: seconds, memory and bytes.

One site and the server of a round, alone on this machine, for models of 68 thousand and 10 million
weights and 3, 10 and 50 sites; the last rows have a tenth of the sites (at least one) lost after
all have shared their seeds. Beside them stands what the same costs in the clear: the weighted mean.

    python benchmarks/secure_sums.py --out docs/secure_sums.json
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fairfed.privacy.fixed_point import from_words, to_words
from fairfed.privacy.masks import (
    Secrets,
    Terms,
    masked,
    opened,
    part_of,
    recovered,
    shared_out,
    threshold,
    unmasked,
)
from fairfed.strategies.aggregate import weighted_mean

SIZES, SITES, SHARE = (68_000, 10_000_000), (3, 10, 50), 0.5


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and its seconds."""
    begun = time.perf_counter()
    found = call()
    return found, time.perf_counter() - begun


def measured(size: int, sites: int, lost: int) -> dict[str, Any]:
    """A row: one site's and the server's seconds and bytes."""
    names = [f"site-{i:02}" for i in range(sites)]
    model = {"weight": np.random.default_rng(0).normal(0, 0.1, size).astype(np.float32)}
    needed = threshold(sites, SHARE)
    secrets, drawing = timed(lambda: {name: Secrets.draw() for name in names})
    first = Terms("benchmark", {name: own.public for name, own in secrets.items()})
    sealed, sharing = timed(
        lambda: {name: shared_out(name, secrets[name], first, needed) for name in names}
    )
    terms = Terms("benchmark", first.publics, dict.fromkeys(names, 1 / sites))
    own = names[0]
    summand, masking = timed(
        lambda: masked(own, secrets[own], terms, to_words(model, 1 / sites, sites))
    )
    parts, opening = timed(
        lambda: {
            n: part_of(opened(own, secrets[own], first, n, sealed[n][own]), False) for n in names
        }
    )
    # Every summand is that of the first site under its own masks: as long to draw, and the sum of
    # 50 models of 10 million weights need not be held at once.
    there, away = names[: sites - lost], names[sites - lost :]
    total = {"weight": np.zeros(size, np.uint64)}

    def add_all() -> None:
        for _ in there:
            total["weight"] += summand["weight"]

    _, adding = timed(add_all)

    def seeds() -> tuple[dict[str, bytes], dict[str, bytes]]:
        found: tuple[dict[str, bytes], dict[str, bytes]] = ({}, {})
        for name in names:
            gone = name in away
            held = {
                other: part_of(
                    opened(other, secrets[other], first, name, sealed[name][other]), gone
                )
                for other in there[:needed]
            }
            found[gone][name] = recovered(name, held, terms, needed, gone)
        return found

    (kept, gone), _ = timed(seeds)
    _, undoing = timed(lambda: from_words(unmasked(total, terms, kept, gone)))
    _, plain = timed(lambda: weighted_mean([model] * sites, [1 / sites] * sites))
    shares = sum(len(text) for text in sealed[own].values())
    return {
        "weights": size,
        "sites": sites,
        "lost": lost,
        "site_seconds": drawing / sites + sharing / sites + masking + opening,
        "server_seconds": adding + undoing,
        "plain_server_seconds": plain,
        "site_bytes": len(secrets[own].public) + shares + 8 * size + sum(map(len, parts.values())),
        "plain_bytes": 4 * size,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    arguments = parser.parse_args()
    rows = []
    for size in arguments.sizes:
        for sites in SITES:
            for lost in (0, max(1, sites // 10)):
                row = measured(size, sites, lost)
                rows.append(row)
                print(
                    f"{size:>10,} weights, {sites:2} sites, {lost} lost: "
                    f"site {row['site_seconds']:.3f} s, {row['site_bytes'] / 1e6:.2f} MB "
                    f"(plain {row['plain_bytes'] / 1e6:.2f}); "
                    f"server {row['server_seconds']:.3f} s ({row['plain_server_seconds']:.3f})",
                    flush=True,
                )
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
