"""What a run of peers found: accuracy of clients that took no part, and what links carried."""

from __future__ import annotations

from typing import Any

from evaluation.results import (
    ClientValues,
    Column,
    Curve,
    Results,
    Table,
    clients_called,
    write_results,
)
from fairfed.config import Arm
from fairfed.config.base import required
from fairfed.rounds.run_directory import RunDirectory

STEPS = ("0 steps", "1 step", "5 steps")
STARTS = {"global": "", "cluster": ", nearest cluster"}
"""Models that an unseen client starts from, and how a row's name ends."""
COLUMNS = (
    Column("method", "text"),
    *(Column(head, better="higher") for head in (*STEPS, "worst, 5")),
    Column("s", "seconds"),
    Column("MB", "mb"),
)
LINK_COLUMNS = (
    Column("method", "text"),
    Column("link", "text"),
    Column("messages", "count"),
    Column("MB", "mb", digits=2),
    Column("undelivered", "count"),
)
LEGEND = (
    "Test accuracy in % of clients that took no part, mean over them, after so many local steps "
    "from the last model; the worst of them after 5. (n of N): the others could not be measured. "
    "MB: all links."
)
OF_CLIENTS = "accuracy of clients that took no part, on their own test rows, after 5 local steps"
PRIVACY = (
    "Peers sent one another model weights or gradients, how old those are, and noised sums of "
    "their images' embeddings by class, by which they are clustered; the log has their mean losses "
    "and how many images they trained on. Clients that took no part sent how many of their test "
    "rows each model classifies correctly. No image, file name or prediction of a single one is "
    "among them.",
)


def save_results(directory: RunDirectory, clients: int, methods: list[str]) -> None:
    """Write what was found, from the log and the measurements of the run."""
    lines = directory.rounds_by_arm()
    data: dict[str, Any] = {
        "name": directory.config.name,
        "seed": directory.config.seed,
        "rounds": directory.config.rounds,
        "clients": clients,
        "unseen": required(directory.config.peers).unseen,
        "methods": [
            _method(
                name, lines[name], directory.read_json(f"unseen/{Arm(name=name).slug}.json") or {}
            )
            for name in methods
        ],
    }
    names = clients_called(directory.path, directory.rounds())
    links = tuple(
        (m["name"], link, t["messages"], t["bytes"] / 1e6, t["undelivered"])
        for m in data["methods"]
        for link, t in m["links"].items()
    )
    found = Results(
        name=data["name"],
        seed=data["seed"],
        system="peers",
        title=f"{clients} peers, {data['rounds']} rounds",
        tables=(
            Table(COLUMNS, tuple(_rows(data)), legend=LEGEND),
            Table(LINK_COLUMNS, links, "Links"),
        ),
        remarks=tuple(line for method in data["methods"] for line in _told(method, names)),
        curves=(_curve(data),),
        clients=_clients_at_the_end(data, names),
        privacy=PRIVACY,
        data=data,
    )
    write_results(found, directory.path)


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


def _rows(data: dict[str, Any]) -> list[tuple[Any, ...]]:
    """The table of methods: the measurement of the last round from each start.

    A row of fewer than all unseen clients says of how many it is.
    """
    rows = []
    for method in data["methods"]:
        mb = sum(traffic["bytes"] for traffic in method["links"].values()) / 1e6
        for start, each in _last(method, data["rounds"]).items():
            missing = f" ({len(each)} of {data['unseen']})" if len(each) < data["unseen"] else ""
            name = method["name"] + STARTS[start] + missing
            accuracies = [client["accuracy"] for client in each]
            rows.append((name, *_means_and_worst(accuracies), method["seconds"], mb))
    return rows


def _last(method: dict[str, Any], number: int) -> dict[str, list[dict[str, Any]]]:
    """Clients measured after a round by their start; the first start may have none."""
    starts = {entry["start"] for entry in method["unseen"]}
    return {
        start: [
            client
            for entry in method["unseen"]
            if (entry["start"], entry["round"]) == (start, number)
            for client in entry["clients"]
        ]
        for start in STARTS
        if start in starts or start == "global"
    }


def _means_and_worst(each: list[list[float]]) -> list[float | None]:
    """Mean accuracies after each number of steps and the worst after the last."""
    if not each:
        return [None] * (len(STEPS) + 1)
    means = [sum(column) / len(each) for column in zip(*each, strict=True)]
    return [*means, min(accuracy[-1] for accuracy in each)]


def _curve(data: dict[str, Any]) -> Curve:
    """Mean accuracy after the last step, over the rounds that were measured."""
    lines = {
        method["name"] + ending: tuple(
            (entry["round"], _means_and_worst([c["accuracy"] for c in entry["clients"]])[-2])
            for entry in method["unseen"]
            if entry["start"] == start
        )
        for method in data["methods"]
        for start, ending in STARTS.items()
    }
    title = "Test accuracy of clients that took no part, after 5 steps"
    return Curve(title, {name: line for name, line in lines.items() if line})


def _clients_at_the_end(data: dict[str, Any], names: dict[int, str]) -> ClientValues | None:
    """Every unseen client's accuracy after the last step from the last model."""
    values: dict[str, dict[str, float | None]] = {}
    rows: dict[str, int] = {}
    for method in data["methods"]:
        for start, each in _last(method, data["rounds"]).items():
            named = [(names.get(c["client"], str(c["client"])), c) for c in each]
            rows |= {name: client["test"] for name, client in named}
            if each:
                own = {name: client["accuracy"][-1] for name, client in named}
                values[method["name"] + STARTS[start]] = own
    return ClientValues(OF_CLIENTS, values, rows=rows) if values else None


def _told(method: dict[str, Any], names: dict[int, str]) -> list[str]:
    """Clusters at the end, and what happened to them, in words."""
    structure = method["structure"]
    if structure is None:
        return []
    clusters: dict[str, list[str]] = {}
    for peer, cluster in structure["clusters"].items():
        clusters.setdefault(str(cluster), []).append(names.get(int(peer), peer))
    ends = [
        f"{', '.join(clusters[number])} (coordinator {names.get(int(leader), leader)})"
        for number, leader in sorted(structure["coordinators"].items())
    ]
    return [
        f"{method['name']}, clusters at the end: {'; '.join(ends)}",
        *(f"{method['name']}, round {e['round']}: {e['what']}" for e in method["events"]),
    ]
