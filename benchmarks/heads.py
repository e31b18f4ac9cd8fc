"""Closed-form heads on frozen CLIP features at every label skew, and with tint tied to the class.

    python benchmarks/heads.py [--data FOLDER] [--seeds 0 1 2] [--cifar CIFAR --generator DIR]

`grey`: the clients' 6,000 images and the 10,000 test images of `label_skew.py` (--data names the
folder of Fashion-MNIST's IDX files; 2,000 bundled test images without it), whose rows of FedAvg
stand beside. `tints`: clients and images of `group_images.py`, tint 90 % tied to the class.
`photographs`: those of `photographs.py`, CLIP from DIR. Strengths are chosen on validation images
in every run; a run that is there already is not repeated. Writes docs/heads.json and prints the
tables.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
from _heads_pooled import pooled
from _label_skew_data import prepare
from _label_skew_rows import PROTOCOL, SPLITS
from _tables import mean_sd

from evaluation.files import write_whole
from fairfed.config import Config
from fairfed.server import run

Settings = dict[str, Any]

DIVIDED: dict[str, Settings] = {
    **SPLITS,
    # The partitioner's default of 10 images a client cannot be met at 0.01 in all three seeds.
    "Dirichlet 0.01": {
        "name": "dirichlet",
        "options": {"alpha": 0.01, "min_partition_size": 5},
    },
    "IID": {"name": "iid"},
}
PLAIN = ["ncm", "ridge", "lda", "cof"]
GROUPED = ["ridge", "ridge-group", "lda", "lda-group"]
FEATURES: dict[str, Settings] = {
    "0": {"features": 0},
    "256": {"features": 256},
    "256, texts": {"features": 256, "prior_rows": 2000},
}
"""What heads are solved on. The numbers were chosen by cross-validation on training images."""
BESIDE = ("FedAvg", "CLIP head", "CLIP zero-shot", "SD + CLIP, CLIP head")
SHOWN = ("accuracy", "worst_class", "gap", "mb", "seconds")


def worlds(options: argparse.Namespace) -> dict[str, tuple[Settings, list[str], list[str]]]:
    """Settings, splits and heads by world."""
    data = prepare(options.data, 600, options.work)
    grey = {
        "data": {**PROTOCOL["data"], "source": "fashion-mnist", "directory": str(data.directory)},
        "semantic": PROTOCOL["semantic"],
    }
    tints = {"data": {"tint": {"correlation": 0.9}}}
    found = {
        "grey": (grey, list(DIVIDED), PLAIN),
        "tints": (tints, ["IID"], GROUPED),
    }
    if options.cifar:
        from photographs import prepare as photographs

        own = argparse.Namespace(work=options.work, split="test", data=options.cifar)
        known = {
            "encoder": f"{options.generator}/clip",
            "attributes": f"{options.generator}/attributes.csv",
        }
        source = {"source": f"hf:{photographs(own)}", "sensitive": ()}
        found["photographs"] = ({"data": source, "semantic": known}, ["1 label", "2 labels"], PLAIN)
    return found


def measure(options: argparse.Namespace) -> list[Settings]:
    """Every head of every run."""
    rows = []
    for world, (settings, splits, heads) in worlds(options).items():
        for split in splits:
            for features, on in FEATURES.items():
                for seed in options.seeds:
                    name = f"{world}-{split}-{features}-{seed}".replace(", ", "-").replace(" ", "-")
                    own = {
                        **settings,
                        "name": name,
                        "seed": seed,
                        "rounds": 1,
                        "workers": 1,
                        "out": str(options.work / "runs" / name),
                        "partition": {"clients": 10, **DIVIDED[split]},
                        "heads": {"heads": heads, **on},
                    }
                    where = {"world": world, "split": split, "features": features, "seed": seed}
                    rows += [{**where, **head} for head in outcome(Config.model_validate(own))]
    return rows


def outcome(config: Config) -> list[Settings]:
    """The heads of a run, with the CPU-seconds that it took."""
    folder, started = config.run_directory, time.process_time()
    spent = folder / "cpu.json"
    if not spent.is_file():
        run(config, report=False)
        write_whole(spent, json.dumps(time.process_time() - started).encode())
        print(f"{config.name}: {json.loads(spent.read_text()):.0f} CPU-s", flush=True)
    found = json.loads((folder / "results.json").read_text())["heads"]
    return [{**head, "cpu_seconds": json.loads(spent.read_text())} for head in found]


def tables(rows: list[Settings]) -> str:
    """A Markdown table for each world and split; fractions in percent."""
    lines = []
    for world in dict.fromkeys(row["world"] for row in rows):
        own = [row for row in rows if row["world"] == world]
        for split in dict.fromkeys(row["split"] for row in own):
            here = [row for row in own if row["split"] == split]
            lines += ["", f"## {world}, {split}", ""]
            lines += ["| head | features | " + " | ".join(SHOWN) + " |", "|---|---:|" + "---:|" * 5]
            for name, features in dict.fromkeys((row["name"], row["features"]) for row in here):
                one = [r for r in here if (r["name"], r["features"]) == (name, features)]
                cells = " | ".join(cell(one, key) for key in SHOWN)
                lines.append(f"| {name} | {'CLIP' if features == '0' else features} | {cells} |")
            lines += beside(split) if world == "grey" else []
    return "\n".join(lines)


def cell(rows: list[Settings], key: str) -> str:
    """Mean ± sd over seeds; an en dash where undefined. MB: the most of any seed."""
    values = [row[key] for row in rows if row[key] is not None]
    if not values:
        return "–"
    if key == "mb":
        return f"{max(values):.3f}"
    return mean_sd(values) if key == "seconds" else mean_sd([100 * value for value in values])


def beside(split: str) -> list[str]:
    """What docs/results.json has of the split: MB a client, CPU-seconds of all."""
    known = json.loads(Path("docs/results.json").read_text())["runs"]
    lines = []
    for name in BESIDE:
        rows = [one for one in known if (one["split"], one["row"]) == (split, name)]
        if rows:
            accuracy, worst = (
                mean_sd([100 * r[k] for r in rows]) for k in ("accuracy", "worst_class")
            )
            mb = statistics.fmean(row["mb"] for row in rows) / 10
            lines.append(f"| *{name}* (results.md) | | {accuracy} | {worst} | – | {mb:.3f} | |")
    return lines


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cifar", type=Path)
    parser.add_argument("--generator", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--work", type=Path, default=Path("runs/heads"))
    parser.add_argument("--out", type=Path, default=Path("docs/heads.json"))
    parser.add_argument("--pooled", action="store_true", help="only what all rows together give")
    options = parser.parse_args()
    if options.pooled:
        grey = {**worlds(options)["grey"][0], "rounds": 1, "heads": {}}
        for line in pooled(Config.model_validate({**grey, "partition": {"name": "iid"}})):
            print(line, flush=True)
        return
    rows = measure(options)
    kept = [{k: v for k, v in row.items() if k != "recall"} for row in rows]
    write_whole(options.out, ("[\n" + ",\n".join(map(json.dumps, kept)) + "\n]\n").encode())
    print(tables(rows))


if __name__ == "__main__":
    main()
