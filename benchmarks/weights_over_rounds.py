"""A picture of what every rule does: weights over 30 rounds of one small federation.

COMPAS from --data where it is there, else a made-up table; five clients of unlike size and groups,
logistic regression, every rule once with the options that its panel names. Most rules weigh
clients; FedMinMax, FedFB and Parity leave that to the number of examples and weigh the examples,
which is what their panels show. About a minute.

    python benchmarks/weights_over_rounds.py

Writes docs/weights_over_rounds.svg.
"""

from __future__ import annotations

import argparse
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)

# isort: split
import numpy as np

from fairfed.config import Arm, Config

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from fairfed.sites.study import Study

ROUNDS, CLIENTS, SEED = 30, 5, 2
MADE_UP = "made-up"
ARMS: dict[str, dict[str, Any]] = {
    "fedavg": {"rule": "fedavg"},
    "fairfed": {"rule": "fairfed", "options": {"beta": 0.1}},
    "fairfed, probe": {"rule": "fairfed", "signal": "probe", "options": {"beta": 0.1}},
    "fairfed-exp": {"rule": "fairfed-exp", "options": {"beta": 3.0}},
    "fair-fate": {"rule": "fair-fate"},
    "afl": {"rule": "afl", "options": {"gamma": 0.1}},
    "qffl": {"rule": "qffl", "options": {"q": 2.0}},
    "term": {"rule": "term", "options": {"t": 3.0}},
    "fedmgda": {"rule": "fedmgda", "options": {"epsilon": 0.1}},
    "fedminmax": {"rule": "fedminmax", "options": {"gamma": 0.1}},
    "fedfb": {"rule": "fedfb", "options": {"alpha": 0.3}},
    "parity": {"rule": "parity", "options": {"integral": 0.07}},
}
COLOURS = ("#1f5f8b", "#b3541e", "#1b7a5a", "#8a3f86", "#7a6a00")
INK, SOFT, LINE = "#1b1f24", "#57606a", "#d5dade"
CELLS = (("-", COLOURS[0]), ("--", COLOURS[0]), ("-", COLOURS[1]), ("--", COLOURS[1]))
"""Line and colour of group 0's two classes, then of group 1's."""


@dataclass
class Story:
    """What one arm did: weights of clients ``[round][client]``, of cells ``[round][cell]``."""

    clients: list[list[float]] = field(default_factory=list)
    cells: list[list[float]] = field(default_factory=list)
    signal: str = ""


def made_up() -> pd.DataFrame:
    """Loans that depend on income and, in one of two groups, on something less telling."""
    import pandas as pd

    rng = np.random.default_rng(SEED)
    group, income, other = rng.integers(0, 2, 4000), rng.normal(size=4000), rng.normal(size=4000)
    score = np.where(group == 0, 2 * income, 0.5 * income - other) + rng.normal(size=4000)
    return pd.DataFrame(
        {
            "group": np.where(group == 0, "a", "b"),
            "income": income,
            "other": other,
            "loan": np.where(score > 0, "yes", "no"),
        }
    )


def configure(folder: Path) -> Config:
    """The federation, with a complete schema: nothing is asked of the clients."""
    from fairfed.data.tables import load_table, register_frame

    data: dict[str, Any] = {"source": "compas", "directory": str(folder)}
    if not (folder / "compas.csv").is_file():
        register_frame(MADE_UP, made_up())
        data = {"source": f"frame:{MADE_UP}", "label": "loan", "sensitive": ["group"]}
        data["table"] = {"positive": "yes", "numeric": ["income", "other"], "drop": ["group"]}
    settings: dict[str, Any] = {
        "name": "weights over rounds",
        "seed": SEED,
        "rounds": ROUNDS,
        "workers": 1,
        "model": "logistic",
        "data": data,
        "partition": {
            "name": "dirichlet",
            "clients": CLIENTS,
            "options": {"alpha": 0.7, "partition_by": "cell"},
        },
        "train": {"epochs": 1, "batch_size": 64, "lr": 0.05, "momentum": 0.0},
        "fairness": {"probe_source": "validation", "min_share": 0.0},
        "arms": [{"name": name, **arm} for name, arm in ARMS.items()],
    }
    config = Config.model_validate(settings)
    features, table = load_table(config).features, config.data.table
    known = {
        "scale": "minmax",
        "ranges": {n: (float(features[n].min()), float(features[n].max())) for n in table.numeric},
        "categories": {n: sorted(set(features[n]) - {""}) for n in table.categorical},
    }
    settings["data"] = data | {"table": {**data.get("table", {}), **known}}
    return Config.model_validate(settings)


def follow(grid: Any, study: Study, arm: Arm, held: NDArray[np.int64]) -> Story:
    """Run one arm, and note the weights of every round; `held`: the clients' rows ``[G, C]``."""
    from flwr.app import ArrayRecord

    from fairfed.rounds.arm_server import Plan
    from fairfed.rounds.arrays import decode
    from fairfed.rounds.clients import handshake
    from fairfed.rounds.loop import run_rounds
    from fairfed.strategies.arm_server import SteeredServer
    from fairfed.systems.classifier.build import build_strategy, needs_probe
    from fairfed.systems.classifier.probe import server_probe

    config = study.config
    probe = server_probe(study, arm) if needs_probe(arm) else None
    strategy = build_strategy(study.place, arm, probe)
    parts = strategy.parts
    story = Story(signal=parts.signal.name if parts.steered and parts.signal else "")

    def note(line: dict[str, Any]) -> None:
        rows = strategy.train_log[line["round"]]
        story.clients.append([row["weight"] for row in rows])
        cells, target = parts.rule.cell_weights(), parts.rule.cell_target()
        if target is not None:
            cells = target * held.sum() / held
        if cells is not None:
            story.cells.append([float(weight) for weight in cells.ravel()])

    plan, clients = Plan(config.rounds, config.seed, 600.0), handshake(grid, 1, 600.0)
    start = decode(ArrayRecord(study.place.model(arm).state_dict()))
    server = SteeredServer(grid, clients, plan, strategy, start, study.request(arm))
    run_rounds(grid, clients, server, plan, note, None)
    return story


def draw(stories: dict[str, Story], clients: list[str], cells: list[str], out: Path) -> None:
    """Draw a panel per arm, and one that says who the clients are."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "fairfed",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.edgecolor": LINE,
        "xtick.color": SOFT,
        "ytick.color": SOFT,
    }
    shares = stories["fedavg"].clients[0]
    top = 1.08 * max(max(max(row) for row in story.clients) for story in stories.values())
    with mpl.rc_context(style):
        figure, grid = plt.subplots(3, 4, figsize=(12.4, 9.2), facecolor="white", sharex=True)
        panels = list(grid.flat)
        for k, (name, story) in enumerate(stories.items()):
            _panel(panels[k], name, story, shares, cells, top)
            if k % 4 and not story.cells:  # the row has one axis
                panels[k].tick_params(labelleft=False)
        for axis in grid[-1]:
            axis.set_xlabel("round", color=SOFT)
        figure.subplots_adjust(0.045, 0.115, 0.985, 0.93, wspace=0.2, hspace=0.47)
        _legend(figure.add_axes((0.045, 0.0, 0.94, 0.055)), clients)
        figure.savefig(out, metadata={"Date": None})
        plt.close(figure)


def _panel(
    axis: Axes, name: str, story: Story, shares: list[float], cells: list[str], top: float
) -> None:
    """Draw the weights of one arm."""
    rounds = range(1, len(story.clients) + 1)
    axis.set_title(name, loc="left", fontsize=11.5, fontweight="bold", color=INK, pad=21)
    axis.text(0, 1.035, _subtitle(name, story), transform=axis.transAxes, fontsize=9, color=SOFT)
    axis.grid(axis="y", color=LINE, linewidth=0.7)
    axis.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)
    axis.tick_params(length=0)
    axis.set_xlim(-0.6, len(rounds) + 0.5)
    axis.set_xticks([1, 10, 20, 30])
    if story.cells:
        _draw_cells(axis, story, cells)
        return
    axis.set_ylim(0, top)
    axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    for k, colour in enumerate(COLOURS):
        axis.plot(rounds, [row[k] for row in story.clients], color=colour, linewidth=1.8)
        axis.plot([0], [shares[k]], "o", color=colour, markerfacecolor="white", markersize=4.5)


def _draw_cells(axis: Axes, story: Story, cells: list[str]) -> None:
    """Draw the weights of training examples by group and class."""
    values, looks = np.asarray(story.cells), list(zip(CELLS, cells, strict=True))
    if (values[:, ::2] == values[:, 1::2]).all():  # a group's classes weigh alike
        values, looks = values[:, ::2], [(look, cell.split(",")[0]) for look, cell in looks[::2]]
    axis.axhline(1.0, color=SOFT, linewidth=0.8)
    for ((dash, colour), _), series in zip(looks, values.T, strict=True):
        axis.plot(range(1, len(values) + 1), series, dash, color=colour, linewidth=1.8)
    low, high = float(values.min()), float(values.max())
    axis.set_ylim(low - 0.1 * (high - low), high + 0.4 * (high - low))
    axis.yaxis.set_major_formatter(lambda value, _: f"×{value:.2f}")
    axis.tick_params(axis="y", labelsize=8.5)
    handles = [
        axis.plot([], [], dash, color=colour, label=label)[0] for (dash, colour), label in looks
    ]
    axis.legend(handles=handles, loc="upper left", ncols=2, fontsize=8, frameon=False,
                handlelength=1.8, columnspacing=1.0, borderaxespad=0.1)  # fmt: skip


def _subtitle(name: str, story: Story) -> str:
    """What the arm is steered by, and its options."""
    options = ARMS[name].get("options", {})
    words = ", ".join(f"{option} {value:g}" for option, value in options.items())
    what = f"steered by {story.signal}" if story.signal else ""
    if name == "fedmgda":
        what = "directions"
    if story.cells:
        what = "weights of examples"
    return "; ".join(filter(None, (what or "shares of the examples", words)))


def _legend(axis: Axes, clients: list[str]) -> None:
    """Say who the clients are."""
    axis.set_axis_off()
    where = {"transform": axis.transAxes, "va": "center", "fontsize": 9.5}
    axis.text(0.0, 0.75, "Clients", fontweight="bold", **where)
    for k, (colour, words) in enumerate(zip(COLOURS, clients, strict=True)):
        x = 0.06 + 0.19 * k
        axis.plot([x, x + 0.02], [0.75] * 2, color=colour, linewidth=2.4, transform=axis.transAxes)
        axis.text(x + 0.026, 0.75, words, **where)
    axis.text(0.06, 0.3, "○ share of the examples", color=SOFT, **where)


def main() -> None:
    """Run every arm, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("/work/shared/data"))
    parser.add_argument("--out", type=Path, default=Path("docs/weights_over_rounds.svg"))
    options = parser.parse_args()
    from fairfed.client import client_app
    from fairfed.engines.inprocess import InProcessGrid
    from fairfed.system import simulated_study

    logging.getLogger("fairfed").setLevel(logging.ERROR)
    config = configure(options.data)
    study = simulated_study(config)
    sites = study.simulated("the figure")
    held = sites.data()
    groups, classes = held.table.group_names, held.table.classes
    with InProcessGrid(client_app(sites), CLIENTS) as grid:
        rows = sum(held.table.cells(own) for own in held.train).T
        stories = {arm.name: follow(grid, study, arm, rows) for arm in config.arms}
    clients = [
        f"{len(rows):,} rows, {100 * np.mean(held.table.groups[rows] == 0):.0f} % {groups[0]}"
        for rows in held.train
    ]
    cells = [f"{group}, class {label}" for group in groups for label in classes]
    draw(stories, clients, cells, options.out)
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
