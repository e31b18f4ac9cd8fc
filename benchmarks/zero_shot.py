"""Whether the miniature Stable Diffusion can show what none of its networks has ever seen.

    python benchmarks/zero_shot.py [--seeds 0 1 2] [--validation] [--out FILE.json]

CLIP, autoencoder and UNet are trained without two classes and four class × tint cells; docs/
zero_shot.md has the commands. A judge that has seen every real class says how often each way of
conditioning shows the class; a classifier that learns the two classes from generated images alone
says what those images are worth on *real* ones. `--validation` tests on the images that training
kept back, which is where guidance, weights and numbers of words were chosen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _judge import Images, Labels, recalls, tint_of, tinted, train_cnn
from _zero_shot import (
    BUNDLED,
    PER_CLASS,
    TABLE,
    UNSEEN,
    UNSEEN_CELLS,
    Generation,
    Real,
    Way,
    real_images,
    student_recalls,
)

from fairfed.models import build_model
from generators.idx import DEBIAN_DIRECTORY
from generators.training.dataset import TrainingImages, load_training_images
from semantic.attributes import load_attributes
from semantic.induction import measured_sums
from semantic.space import Cell
from semantic.tint import TINTS

WAYS = (
    Way("name only", "name", 2.0, unnamed=False),
    Way("attributes", "attributes", 3.0, words=6),
    Way("attributes + composition", "composition", 3.0, words=6, weight=0.6),
    Way("prototype", "prototype", 4.0),
)


CELL_IMAGES, CELL_GUIDANCE = 200, 2.0


def load_judge(training: TrainingImages, path: Path) -> torch.nn.Module:
    """CNN that knows every class, trained once and kept in `path`."""
    if path.is_file():
        judge = build_model("cnn-bn", 10, seed=0)
        judge.load_state_dict(torch.load(path, weights_only=True))
        return judge
    judge = train_cnn(tinted(training.images, 1)[0], training.labels, 4, seed=0)
    torch.save(judge.state_dict(), path)
    return judge


def measure_seed(
    options: argparse.Namespace,
    seed: int,
    real: Real,
    judge: torch.nn.Module,
    frequencies: Any,
    found: dict[str, Any],
) -> Iterator[None]:
    """Fill in what `found` lacks of one trained generator; yields after every part."""
    generation = Generation(options.work, seed, real, frequencies, options.steps)
    for way in options.ways:
        if way.name not in found:
            found[way.name] = measure_way(options, generation, way, real, judge)
            print(f"seed {seed}  {way.name:26}", json.dumps(found[way.name]), flush=True)
            yield
    if options.validation:
        return
    if "unseen cells" not in found:
        found["unseen cells"] = measure_cells(generation, judge)
        yield
    unmatched = found.setdefault("no domain matching", {})
    for way in (way for way in options.ways if way.mode in ("attributes", "composition")):
        if way.name not in unmatched:
            unmatched[way.name] = without_matching(generation, way, real)
            yield


def measure_way(
    options: argparse.Namespace, generation: Generation, way: Way, real: Real, judge: Any
) -> dict[str, Any]:
    """How often a way shows the unseen classes, and what its images teach about real ones."""
    made, row = {}, {}
    for name in UNSEEN:
        label = generation.table.row(name)
        made[label] = generation.images(way, generation.cells(name), PER_CLASS)
        asked = np.arange(len(TINTS)).repeat(-(-len(made[label]) // len(TINTS)))
        row[name] = {
            "recognised": share_of(judge, made[label], label),
            "tint_right": float((tint_of(made[label]) == asked[: len(made[label])]).mean()),
            "images": len(made[label]),
        }
        if generation.seed == 0 and not options.validation:
            shown = made[label][np.arange(48) * len(made[label]) // 48]
            write_sheet(shown, options.pictures / f"{slug(way.name)}-{slug(name)}.png")
    taught = student_recalls(real, made, generation, generation.seed)
    for name in UNSEEN:
        row[name]["recall_on_real"] = taught[generation.table.row(name)]
    return {**row, "accuracy": float(np.mean(taught))}


def without_matching(generation: Generation, way: Way, real: Real) -> dict[str, float]:
    """Recall on real images of the unseen classes, without domain matching."""
    labels = {generation.table.row(name): name for name in UNSEEN}
    made = {
        label: generation.images(way, generation.cells(name), PER_CLASS)
        for label, name in labels.items()
    }
    taught = student_recalls(real, made, None, generation.seed)
    return {name: taught[label] for label, name in labels.items()}


def measure_cells(generation: Generation, judge: torch.nn.Module) -> dict[str, Any]:
    """How often class and tint of an unseen cell are right, beside a seen cell of its class."""
    way = Way("name", "name", CELL_GUIDANCE, unnamed=False)
    found = {}
    for class_name, tint in UNSEEN_CELLS:
        seen = next(t for t in TINTS if t != tint)
        found[f"{class_name} × {tint}"] = {
            "unseen": both_right(generation, judge, way, Cell(class_name, tint)),
            "seen": both_right(generation, judge, way, Cell(class_name, seen)),
            "seen_tint": seen,
            "images": CELL_IMAGES,
        }
    return found


def both_right(generation: Generation, judge: torch.nn.Module, way: Way, cell: Cell) -> float:
    """Share of a cell's images whose class and tint are right."""
    made = generation.images(way, [cell], CELL_IMAGES)
    right = predictions(judge, made) == generation.table.row(cell.class_name)
    return float((right & (tint_of(made) == tuple(TINTS).index(cell.group))).mean())


def predictions(judge: torch.nn.Module, images: Images) -> Labels:
    """The judge's classes."""
    with torch.no_grad():
        logits = judge.eval()(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)
    found: Labels = logits.argmax(1).numpy()
    return found


def share_of(judge: torch.nn.Module, images: Images, label: int) -> float:
    """Share of images that the judge takes for a class."""
    return float((predictions(judge, images) == label).mean())


def write_sheet(images: Images, path: Path, columns: int = 12, rows: int = 4) -> None:
    """Write a contact sheet, twice enlarged."""
    from PIL import Image

    side = images.shape[1]
    sheet = images[: rows * columns].reshape(rows, columns, side, side, 3)
    whole = sheet.transpose(0, 2, 1, 3, 4).reshape(rows * side, columns * side, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(whole.repeat(2, 0).repeat(2, 1)).save(path)


def slug(name: str) -> str:
    """A file name."""
    return "".join(c if c.isalnum() else "-" for c in name.lower()).replace("--", "-")


def ceilings(real: Real, seeds: list[int]) -> dict[str, Any]:
    """Recall with real images of the unseen classes, and without any."""
    table = load_attributes()
    labels = [table.row(name) for name in UNSEEN]
    with_real = [student_recalls(real, {}, None, seed) for seed in seeds]
    return {
        name: [run[label] for run in with_real] for name, label in zip(UNSEEN, labels, strict=True)
    }


def main() -> None:
    """Measure every seed that is not yet in the output, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".work/zero-shot"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--pictures", type=Path, default=Path(".work/zero-shot/pictures"))
    parser.add_argument("--out", type=Path, default=Path("docs/zero_shot.json"))
    parser.add_argument("--ways", type=json.loads, help="ways to try, as JSON (with --validation)")
    options = parser.parse_args()
    options.ways = [Way(**way) for way in options.ways] if options.ways else list(WAYS)
    torch.set_num_threads(options.threads)
    done = json.loads(options.out.read_text()) if options.out.is_file() else {}
    training, _ = load_training_images(DEBIAN_DIRECTORY, BUNDLED)
    table = load_attributes(TABLE)
    seen = training.without([table.row(name) for name in UNSEEN], ())
    frequencies = measured_sums(seen.labels, seen.words, table.classes).frequencies()
    real = real_images(options.validation)
    judge = load_judge(training, options.work / "judge.pt")
    done["measured_on"] = "validation" if options.validation else "test"
    done["ways"] = [asdict(way) for way in options.ways]
    done["judge"] = recalls(judge, real.test_images, real.test_labels)
    done.setdefault("ceiling", ceilings(real, options.seeds))
    runs = done.setdefault("seeds", {})
    for seed in options.seeds:
        found = runs.setdefault(str(seed), {})
        for _ in measure_seed(options, seed, real, judge, frequencies, found):
            options.out.write_text(json.dumps(done, indent=2) + "\n")
    print_table(done)


def print_table(done: dict[str, Any]) -> None:
    """Mean ± sd over the generators, in %."""
    runs = list(done["seeds"].values())

    def cell(values: list[float]) -> str:
        return f"{100 * np.mean(values):5.1f} ± {100 * np.std(values, ddof=len(values) > 1):4.1f}"

    print(f"{len(runs)} generators, in %, on {done['measured_on']} images")
    for name in UNSEEN:
        print(f"\n{name}: recognised by the judge, recall on real images; ceiling", end=" ")
        print(cell(done["ceiling"][name]))
        for way in done["ways"]:
            rows = [run[way["name"]][name] for run in runs]
            seen, recall = ([row[key] for row in rows] for key in ("recognised", "recall_on_real"))
            print(f"  {way['name']:26} {cell(seen)}   {cell(recall)}")
        for way in runs[0].get("no domain matching", {}):
            recall = [run["no domain matching"][way][name] for run in runs]
            print(f"  {way + ', unmatched':26} {'':12}   {cell(recall)}")
    for name in runs[0].get("unseen cells", {}):
        unseen, seen = (
            [run["unseen cells"][name][key] for run in runs] for key in ("unseen", "seen")
        )
        print(f"{name:20} class and tint right {cell(unseen)}, a seen cell of it {cell(seen)}")


if __name__ == "__main__":
    main()
