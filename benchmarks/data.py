"""Training over more images than memory holds, beside torchvision's ImageFolder and a DataLoader.

    python benchmarks/data.py [--images 20000] [--side 224] [--epochs 2] [--model NAME] [--out FILE]

Makes JPEGs in ten folders of classes, and trains the same network over them twice, each time in a
process of its own: by fairfed (`load_images`, whose decoded images are kept in a file, then
`train_epochs`), and by a plain loop over `ImageFolder` and a `DataLoader` with as many workers as
there are processors. Memory is the greatest sum of what the process and its workers hold (PSS, in
which shared pages count once), less what it is before any data. Images a second count every epoch
and everything that it takes, decoding included.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

CLASSES, BATCH, LR = 10, 32, 0.01
AIMS = {"memory": ("≤", 1.2), "speed": ("≥", 0.95)}


def make(folder: Path, images: int, side: int) -> None:
    """Smooth random pictures, as JPEGs of about 15 kB at 224 pixels."""
    rng = np.random.default_rng(0)
    for number in range(images):
        path = folder / f"class {number % CLASSES}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (14, 14, 3), dtype=np.uint8))
        small.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=85)


class Watch:
    """The greatest memory of this process and its children while the block runs, in bytes."""

    def __enter__(self) -> Watch:
        """Begin."""
        self.before = self.peak = self._now()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        self.started = time.perf_counter()
        return self

    def __exit__(self, *error: object) -> None:
        """End."""
        self.seconds = time.perf_counter() - self.started
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(0.5):
            self.peak = max(self.peak, self._now())

    def _now(self) -> int:
        own = psutil.Process()
        total = 0
        for process in (own, *own.children(recursive=True)):
            try:
                total += process.memory_full_info().pss
            except psutil.NoSuchProcess:
                continue
        return total


def by_fairfed(folder: Path, options: argparse.Namespace) -> None:
    """Our own way."""
    import torch

    from fairfed.config import parse_config
    from fairfed.data import load_images
    from fairfed.data.stored import StoredImages
    from fairfed.models import build_model, train_epochs
    from fairfed.models.inputs import StoredInputs

    text = f"""
data = {{ source = "{folder}", sensitive = [], image_size = {options.side}, memory = 0 }}
"""
    config = parse_config(text, "benchmark", (f'data.cache = "{folder}-decoded"',))
    table = load_images(config)
    assert isinstance(table.images, StoredImages)
    train = np.flatnonzero(~table.test)
    model = build_model(options.model, CLASSES, options.side, seed=0)
    train_epochs(
        model,
        StoredInputs(table.images.chosen(train)),
        torch.from_numpy(table.labels[train]),
        epochs=options.epochs,
        batch_size=BATCH,
        lr=LR,
        generator=torch.Generator().manual_seed(0),
    )


def by_loop(folder: Path, options: argparse.Namespace) -> None:
    """The plain loop, over as many images."""
    import torch
    from torch.utils.data import DataLoader, Subset
    from torchvision.datasets import ImageFolder
    from torchvision.transforms.v2 import Compose, PILToTensor, Resize

    from fairfed.models import build_model

    transform = Compose([Resize((options.side, options.side)), PILToTensor()])
    images = ImageFolder(str(folder), transform)
    fifth = np.random.default_rng(0).permutation(len(images))[len(images) // CLASSES * 2 :]
    loader = DataLoader(
        Subset(images, fifth.tolist()), BATCH, shuffle=True, num_workers=os.cpu_count() or 1
    )
    model = build_model(options.model, CLASSES, options.side, seed=0).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=LR)
    for _ in range(options.epochs):
        for batch, labels in loader:
            optimiser.zero_grad(set_to_none=True)
            loss = torch.nn.functional.cross_entropy(model(batch.float() / 255), labels)
            loss.backward()
            optimiser.step()


WAYS = {"fairfed": by_fairfed, "ImageFolder and DataLoader": by_loop}


def measure(way: str, folder: Path, options: argparse.Namespace) -> None:
    """One way, in this process; prints its figures."""
    import torch
    import torchvision  # noqa: F401  (neither's import counts)

    import fairfed.data
    import fairfed.models  # noqa: F401

    with Watch() as watch:
        WAYS[way](folder, options)
    trained = options.images * 4 // 5 * options.epochs
    found = {
        "MiB": (watch.peak - watch.before) / 2**20,
        "images a second": trained / watch.seconds,
        "seconds": watch.seconds,
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(found))


def main() -> None:
    """Make, run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--model", default="torchvision:mobilenet_v3_small")
    parser.add_argument("--out", type=Path, default=Path("data-benchmark.json"))
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        measure(options.way, options.folder, options)
        return
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        make(folder, options.images, options.side)
        for way in WAYS:
            command = [sys.executable, __file__, *sys.argv[1:], "--way", way, "--folder", folder]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found[way] = json.loads(done.stdout.splitlines()[-1])
            print(way, found[way], flush=True)
    ours, other = found.values()
    ratios = {
        "memory": ours["MiB"] / other["MiB"],
        "speed": ours["images a second"] / other["images a second"],
    }
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f} × (aim {' '.join(map(str, AIMS[name]))})")
    asked = {name: str(value) for name, value in vars(options).items()}
    options.out.write_text(json.dumps({"options": asked, "found": found, "ratios": ratios}) + "\n")


if __name__ == "__main__":
    main()
