"""What a run of peers leaves behind: `results.json`, `results.md`, tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairfed.config import Arm
from fairfed.peers.population import settings
from fairfed.rounds.run_directory import RunDirectory, write_text

if TYPE_CHECKING:
    from rich.console import Console

STEPS = ("0", "1", "5")
STARTS = {"global": "", "cluster": ", nearest cluster"}
"""Models that an unseen client starts from, and how a row's name ends."""
HEADS = ("0 steps", "1 step", "5 steps", "worst, 5", "s", "MB")
LINK_HEADS = ("messages", "MB", "undelivered")
LEGEND = (
    "Test accuracy in % of clients that took no part, mean over them, after so many local steps "
    "from the last model; the worst of them after 5. (n of N): the others could not be measured. "
    "MB: all links."
)


def write_outcome(directory: RunDirectory, clients: int, methods: list[str]) -> None:
    """Write `results.json` and `results.md` from the log and the measurements of the run."""
    lines = directory.rounds_by_arm()
    content = {
        "name": directory.config.name,
        "seed": directory.config.seed,
        "rounds": directory.config.rounds,
        "clients": clients,
        "unseen": settings(directory.config).unseen,
        "methods": [
            _method(
                name, lines[name], directory.read_json(f"unseen/{Arm(name=name).slug}.json") or {}
            )
            for name in methods
        ],
    }
    directory.write_json("results.json", content)
    write_text(directory.path / "results.md", _markdown(content))


def _method(name: str, lines: list[dict[str, Any]], unseen: dict[str, Any]) -> dict[str, Any]:
    """An entry of `results.json`."""
    links: dict[str, dict[str, int]] = {}
    for line in lines:
        for link, traffic in line["links"].items():
            total = links.setdefault(link, dict.fromkeys(traffic, 0))
            for what, count in traffic.items():
                total[what] += count
    return {
        "name": name,
        "seconds": round(sum(line["seconds"] for line in lines), 3),
        "links": links,
        "structure": lines[-1].get("structure"),
        "events": [{"round": n["round"], "what": w} for n in lines for w in n.get("events", ())],
        "unseen": [
            {"round": int(number), "start": start, "clients": _clients(rows, start)}
            for number, rows in unseen.items()
            for start in STARTS
            if any(f"correct-{start}" in row for row in rows)
        ],
    }


def _clients(rows: list[dict[str, Any]], start: str) -> list[dict[str, Any]]:
    """Accuracy of every unseen client after each number of steps."""
    return [
        {
            "client": row["client"],
            "test": row["n-test"],
            "accuracy": [correct / row["n-test"] for correct in row[f"correct-{start}"]],
        }
        for row in rows
        if f"correct-{start}" in row and row["n-test"]
    ]


def _rows(content: dict[str, Any]) -> list[list[str]]:
    """The table of methods: the measurement of the last round from each start.

    A row of fewer than all unseen clients says of how many it is.
    """
    rows = []
    for method in content["methods"]:
        mb = sum(traffic["bytes"] for traffic in method["links"].values()) / 1e6
        starts = {entry["start"] for entry in method["unseen"]}
        for start, ending in STARTS.items():
            if start not in starts and start != "global":
                continue
            each = _last(method["unseen"], start, content["rounds"])
            missing = f" ({len(each)} of {content['unseen']})"
            rows.append(
                [
                    method["name"] + ending + (missing if len(each) < content["unseen"] else ""),
                    *_means_and_worst(each),
                    f"{method['seconds']:.0f}",
                    f"{mb:.1f}",
                ]
            )
    return rows


def _last(unseen: list[dict[str, Any]], start: str, number: int) -> list[list[float]]:
    """Accuracies by client, from a start, measured after a round; empty if nobody was measured."""
    found = [entry for entry in unseen if (entry["start"], entry["round"]) == (start, number)]
    return [client["accuracy"] for entry in found for client in entry["clients"]]


def _means_and_worst(each: list[list[float]]) -> list[str]:
    """Mean accuracies after each number of steps and the worst after the last, in %."""
    if not each:
        return ["–"] * (len(STEPS) + 1)
    means = [sum(column) / len(each) for column in zip(*each, strict=True)]
    worst = min(accuracy[-1] for accuracy in each)
    return [f"{100 * number:.1f}" for number in (*means, worst)]


def _link_rows(content: dict[str, Any]) -> list[list[str]]:
    """The table of links."""
    return [
        [
            method["name"],
            link,
            str(traffic["messages"]),
            f"{traffic['bytes'] / 1e6:.2f}",
            str(traffic["undelivered"]),
        ]
        for method in content["methods"]
        for link, traffic in method["links"].items()
    ]


def _told(content: dict[str, Any]) -> list[str]:
    """Clusters at the end, and what happened to them, in words."""
    told = []
    for method in content["methods"]:
        structure = method["structure"]
        if structure is None:
            continue
        clusters: dict[str, list[str]] = {}
        for peer, cluster in structure["clusters"].items():
            clusters.setdefault(str(cluster), []).append(peer)
        ends = [
            f"{', '.join(clusters[number])} (coordinator {leader})"
            for number, leader in sorted(structure["coordinators"].items())
        ]
        told.append(f"{method['name']}, clusters at the end: {'; '.join(ends)}")
        told += [f"{method['name']}, round {e['round']}: {e['what']}" for e in method["events"]]
    return told


def _markdown(content: dict[str, Any]) -> str:
    title = f"# {content['name']}: {content['clients']} peers, {content['rounds']} rounds"
    lines = [f"{title}, seed {content['seed']}", ""]
    lines += [f"| | {' | '.join(HEADS)} |", "|---|" + "---:|" * len(HEADS)]
    lines += [f"| {' | '.join(row)} |" for row in _rows(content)]
    lines += ["", LEGEND, "", f"| | link | {' | '.join(LINK_HEADS)} |", "|---|---|---:|---:|---:|"]
    lines += [f"| {' | '.join(row)} |" for row in _link_rows(content)]
    return "\n".join([*lines, "", *(f"- {line}" for line in _told(content)), ""])


def show(run_dir: Path, console: Console) -> None:
    """Print the tables of `results.json`; the last line names `results.md`."""
    from fairfed.cli.tables import titled

    content = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    for left, heads, rows in (
        (("",), HEADS, _rows(content)),
        (("", "link"), LINK_HEADS, _link_rows(content)),
    ):
        table = titled("", *left, right=heads)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    console.print(LEGEND, style="dim", highlight=False)
    for line in _told(content):
        console.print(line, style="dim", highlight=False)
    console.print(f"Results: {run_dir / 'results.md'}", soft_wrap=True)
