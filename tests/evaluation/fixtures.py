"""A realistic run directory, made of seeded numbers and drawn pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
TINTS = ("grey", "red", "green", "blue")
COLOURS = {"grey": (210, 210, 210), "red": (224, 92, 84), "green": (96, 190, 110),
           "blue": (92, 130, 230)}  # fmt: skip
ARMS: list[dict[str, Any]] = [
    {"name": "FedAvg", "rule": "fedavg"},
    {"name": "FairFed", "rule": "fairfed"},
    {"name": "FedAvg + synthetic", "rule": "fedavg", "augment": True},
    {"name": "FairFed + synthetic", "rule": "fairfed", "augment": True},
    {"name": "IID ceiling", "rule": "fedavg", "split": "iid", "reference": True},
]
# final recall of a class that two clients hold, how even it is, and how fast it is learnt
SKILL = {"FedAvg": 0.56, "FairFed": 0.58, "FedAvg + synthetic": 0.83,
         "FairFed + synthetic": 0.845, "No matching": 0.74, "IID ceiling": 0.865}  # fmt: skip
TINT_PENALTY = np.array([0.0, 0.05, 0.02, 0.09])


def build_run(
    path: Path,
    *,
    clients: int = 10,
    rounds: int = 12,
    arms: list[dict[str, Any]] | None = None,
    groups: tuple[str, ...] = TINTS,
    seed: int = 7,
    gallery: bool = True,
) -> Path:
    """Write a run directory and return it."""
    rng = np.random.default_rng(seed)
    chosen = [
        {"augment": False, "domain_matching": True, "split": "main", "reference": False, **arm}
        for arm in (ARMS if arms is None else arms)
    ]
    splits = {
        "main": split_cells(clients, len(groups), rng, iid=False),
        "iid": split_cells(clients, len(groups), rng, iid=True),
    }
    path.mkdir(parents=True, exist_ok=True)
    federation = {
        "name": "demo", "seed": seed, "classes": CLASSES, "groups": groups,
        "sensitive": "tint" if len(groups) > 1 else None, "rounds": rounds, "engine": "inprocess",
        "versions": {"fairfed": "0.1.0", "python": "3.11.7", "torch": "2.15.0", "flwr": "1.41.0"},
        "arms": chosen,
        "splits": {k: {p: c.tolist() for p, c in s.items()} for k, s in splits.items()},
    }  # fmt: skip
    (path / "federation.json").write_text(json.dumps(federation))
    (path / "config.toml").write_text(
        f'name = "demo"\nseed = {seed}\n\n[data]\ndataset = "fashion-mnist-subset"\n'
        f'sensitive = "tint"\nclients = {clients}\nlabels_per_client = 2\n\n'
        f'[train]\nrounds = {rounds}\nrule = "fairfed"\nbeta = 1.0\n'
    )
    lines = [
        json.dumps(round_line(arm, number, rounds, splits[arm["split"]], rng))
        for arm in chosen
        for number in range(1, rounds + 1)
    ]
    (path / "rounds.jsonl").write_text("".join(line + "\n" for line in lines))
    if any(arm["augment"] for arm in chosen):
        write_synthesis(path, splits["main"]["train"], rng)
        if gallery:
            write_gallery(path, groups, rng)
    return path


def split_cells(
    clients: int, n_groups: int, rng: np.random.Generator, *, iid: bool
) -> dict[str, np.ndarray]:
    """Draw training and test images per client, class and group."""
    n_classes = len(CLASSES)
    train = np.zeros((clients, n_classes, n_groups), dtype=int)
    test = np.zeros_like(train)
    for k in range(clients):
        own = range(n_classes) if iid else {k % n_classes, (k * k + 3) % n_classes}
        tints = np.full(n_groups, 1 / n_groups) if iid else rng.dirichlet(np.full(n_groups, 0.7))
        for c in own:
            train[k, c] = rng.multinomial(60 if iid else 300, tints)
        for c in range(n_classes):
            test[k, c] = rng.multinomial(20, np.full(n_groups, 1 / n_groups))
    return {"train": train, "test": test}


def round_line(
    arm: dict[str, Any], number: int, rounds: int, split: dict[str, np.ndarray],
    rng: np.random.Generator,
) -> dict[str, Any]:  # fmt: skip
    """Invent one round of one arm."""
    steered = arm["rule"] != "fedavg"
    progress = 1 - np.exp(-4 * number / rounds)
    skill = 0.1 + (SKILL.get(arm["name"], 0.6) - 0.1) * progress
    hard = np.array([0.08, 0.02, 0.12, 0.05, 0.14, 0.03, 0.3, 0.04, 0.0, 0.02])
    holders = (split["train"].sum(axis=2) > 0).sum(axis=0)
    uneven = 0.3 if not arm["augment"] and not arm["reference"] else 0.02
    n = split["train"].sum(axis=(1, 2))
    shares = n / n.sum()
    drift = 0.03 * np.sin(np.arange(len(n)) + 1) * (1 - np.exp(-number / 5)) if steered else 0 * n
    weights = np.clip(shares + drift, 0, None) / np.clip(shares + drift, 0, None).sum()
    entries = []
    for k in range(len(n)):
        failed = arm["name"] == "FedAvg + synthetic" and k == 7 and number == 5
        guarded = arm["name"] == "FairFed" and k == 4 and number >= 10
        recall = (
            skill + 0.05 - hard * 1.2 - uneven * (holders <= 1) * progress + 0.03 * (holders > 1)
        )
        counts = None if failed else draw_counts(split["test"][k], recall + 0.02 * np.sin(k), rng)
        entries.append({
            "client": k,
            "error": "ValueError: the client ran out of memory" if failed else None,
            "n_real": int(n[k]), "n_synthetic": 720 if arm["augment"] else 0,
            "loss": None if failed else round(float(2.3 * (1 - 0.8 * progress)), 4),
            "signal": round(float(0.3 - 0.2 * progress + 0.03 * np.sin(k)), 4) if steered else None,
            "raw_weight": round(float(shares[k] + drift[k]), 5),
            "weight": round(float(weights[k]), 5),
            "guard": "weight was negative; set to 0" if guarded else None,
            "seconds": round(0.25 + 0.1 * rng.random(), 3),
            "bytes_down": 438_000, "bytes_up": 0 if failed else 438_000,
            "test_loss": None if failed else round(float(2.3 * (1 - 0.75 * progress)), 4),
            "test_counts": None if counts is None else counts.tolist(),
        })  # fmt: skip
    return {"arm": arm["name"], "round": number, "seconds": 3.1, "clients": entries}


def draw_counts(cells: np.ndarray, recall: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw confusion counts of shape (groups, classes, classes) for test cells."""
    n_classes, n_groups = cells.shape
    counts = np.zeros((n_groups, n_classes, n_classes), dtype=int)
    penalty = TINT_PENALTY[:n_groups] if n_groups > 1 else np.zeros(1)
    for g in range(n_groups):
        for c in range(n_classes):
            hit = float(np.clip(recall[c] - penalty[g], 0.02, 0.98))
            chances = np.full(n_classes, (1 - hit) / (n_classes - 1))
            chances[c] = hit
            counts[g, c] = rng.multinomial(cells[c, g], chances)
    return counts


def write_synthesis(path: Path, train: np.ndarray, rng: np.random.Generator) -> None:
    """Write what each client synthesised."""
    entries = []
    for k, cells in enumerate(train):
        requested = np.where(cells == 0, 22, 0)
        accepted = np.maximum(0, requested - rng.integers(0, 3, requested.shape))
        rejected = {
            "margin": int(rng.integers(20, 60)), "blank": int(rng.integers(0, 3)),
            "duplicate": int(rng.integers(0, 9)), "memorised": int(rng.integers(0, 2)),
        }  # fmt: skip
        entries.append({"client": k, "requested": requested.tolist(),
                        "accepted": accepted.tolist(), "rejected": rejected})  # fmt: skip
    (path / "synthetic").mkdir(exist_ok=True)
    data = {"clients": entries, "seconds": 74.2, "generated": 2431, "reused": 5012}
    (path / "synthetic" / "clients.json").write_text(json.dumps(data))


def write_gallery(path: Path, groups: tuple[str, ...], rng: np.random.Generator) -> None:
    """Draw pictures for some cells: sharp ones as real, blurred ones as synthetic."""
    folder = path / "synthetic" / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    cells = []
    for c, name in enumerate(CLASSES):
        for group in groups[c % 2 :: 2]:
            real, synthetic = [], []
            for i in range(4):
                file = f"synthetic/gallery/real-{c}-{group}-{i}.png"
                draw(c, group, rng).save(path / file)
                real.append(file)
            for i in range(6):
                file = f"synthetic/gallery/synthetic-{c}-{group}-{i}.png"
                draw(c, group, rng).filter(ImageFilter.GaussianBlur(0.8)).save(path / file)
                score = {"score": round(0.7 + 0.29 * float(rng.random()), 3),
                         "margin": round(1 + 4 * float(rng.random()), 2)}  # fmt: skip
                synthetic.append({"file": file, **score})
            cells.append({"class": name, "group": group, "real": real, "synthetic": synthetic})
    (path / "synthetic" / "gallery.json").write_text(json.dumps({"cells": cells}))


def draw(label: int, group: str, rng: np.random.Generator) -> Image.Image:
    """Draw a simple 32 x 32 garment in the colour of the group."""
    image = Image.new("RGB", (32, 32))
    pen = ImageDraw.Draw(image)
    shade = 0.7 + 0.3 * float(rng.random())
    fill = tuple(int(v * shade) for v in COLOURS.get(group, (210, 210, 210)))
    j = int(rng.integers(-2, 3))
    if label == 1:
        pen.polygon([(11, 3), (21, 3), (23 + j, 29), (18, 29), (16, 10), (14, 29), (9 - j, 29)],
                    fill=fill)  # fmt: skip
    elif label in (5, 7, 9):
        top = 8 if label == 9 else 16
        pen.polygon([(5, 26), (5, top + j), (14, top + j), (17, 18), (28, 22), (28, 26)], fill=fill)
    elif label == 8:
        pen.rectangle([5, 13 + j, 27, 28], fill=fill)
        pen.arc([10, 4 + j, 22, 20], 180, 360, fill=fill, width=2)
    elif label == 3:
        pen.polygon([(12, 3), (20, 3), (19, 12), (24 + j, 29), (8 - j, 29), (13, 12)], fill=fill)
    else:
        sleeve = 14 if label in (0,) else 26
        pen.polygon([(11, 4), (21, 4), (28, 9), (27 + j // 2, sleeve), (23, sleeve), (22, 12),
                     (22, 28), (10, 28), (10, 12), (9, sleeve), (5 - j // 2, sleeve), (4, 9)],
                    fill=fill)  # fmt: skip
    return image
