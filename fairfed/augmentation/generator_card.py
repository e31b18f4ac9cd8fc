"""What a trained generator is worth, measured on real images that it never saw."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.export import plain
from evaluation.files import write_whole
from evaluation.intervals import wilson_interval
from evaluation.quality import Embedded, QualityReport, assess
from fairfed.augmentation.own_generator import Material
from fairfed.augmentation.preview import contact_sheet
from generators.diffusion import DiffusionSettings, load_generator
from generators.requests import Image, Request, request_seed
from generators.store import encode_png
from generators.training.autoencoder import train_critic
from generators.training.dataset import CLIP, PIPELINE, TrainingImages, Work
from generators.training.loop import trained
from generators.training.making import ATTRIBUTES, write_checksums
from generators.writing import explained
from semantic.attributes import AttributeTable
from semantic.encoder import ClipEncoder
from semantic.naming import TEMPLATES, UNNAMED_GROUPS
from semantic.space import Cell, SemanticSpace

GUIDANCE = 2.0
SHOWN, SHEET_CLASSES = 4, 12
QUALITY, CARD, SHEET, CONFIG = "quality.json", "README.md", "samples.png", "config.toml"
JUDGE = "judge"
"""Folder of the classifier that judges, within the working folder."""


def write_card(material: Material, out: Path, per_class: int) -> QualityReport:
    """Make so many images of each class, measure them, and write card, samples and figures."""
    work, table = material.work, material.work.table
    made, labels = generated(work, out, per_class)
    real, truth = _seen(material.held_out)
    training = _seen(work.data.rows(np.arange(min(len(work.data.images), 4 * len(truth)))))
    encoder = ClipEncoder(str(out / CLIP))
    report = assess(
        _embedded(encoder, real, truth, table),
        _embedded(encoder, made, labels, table),
        training=_embedded(encoder, *training, table),
        seed=work.seed,
    )
    judged = _judged(material, made, labels)
    figures = {"images": len(labels), "judge": judged, "quality": report.to_json()}
    with explained(out):
        write_whole(out / SHEET, encode_png(_sheet(made, labels, real, truth, table), {}))
        write_whole(out / QUALITY, (json.dumps(plain(figures), indent=1) + "\n").encode())
        write_whole(out / CARD, _card(material, out, judged, report).encode())
        write_whole(out / CONFIG, ("\n".join(_configuration(out)) + "\n").encode())
        write_checksums(out)
    return report


def generated(work: Work, out: Path, per_class: int) -> tuple[Image, np.ndarray[Any, Any]]:
    """Images of every class by its name, ``[n, S, S, 3]``, and their class indices."""
    settings = DiffusionSettings(
        model=str(out / PIPELINE), image_size=work.preset.image_size, guidance=GUIDANCE
    )
    table = work.table
    space = SemanticSpace(table.classes, UNNAMED_GROUPS[:1], table, TEMPLATES)
    requests = []
    for name in table.classes:
        cell = Cell(name, UNNAMED_GROUPS[0])
        prompt = space.prompts(cell)[0]
        requests += [
            Request(cell, prompt, request_seed(work.seed, "card", cell, i))
            for i in range(per_class)
        ]
    labels = np.repeat(np.arange(len(table.classes)), per_class)
    return load_generator(settings).generate(requests), labels


def _seen(data: TrainingImages) -> tuple[Image, np.ndarray[Any, Any]]:
    """Images as the generator saw them, in their first view, with class indices."""
    rows = np.arange(len(data.labels))
    pixels = data.seen(rows, np.zeros(len(rows), np.int64)).transpose(0, 2, 3, 1)
    return ((pixels + 1) * 127.5).round().astype(np.uint8), data.labels


def _embedded(
    encoder: ClipEncoder, images: Image, labels: np.ndarray[Any, Any], table: AttributeTable
) -> Embedded:
    names = [table.classes[label] for label in labels]
    return Embedded(encoder.embed_images(images).numpy(), names, [UNNAMED_GROUPS[0]] * len(names))


def _judged(material: Material, made: Image, labels: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What a classifier reads that shares nothing with the generator.

    It learns from every second held-out image; the others say how well it knows the classes.
    """
    work, held = material.work, material.held_out
    rows = np.arange(len(held.labels))
    learnt, others = held.rows(rows[::2]), held.rows(rows[1::2])
    if not len(others.labels):
        return {}
    critic = train_critic(replace(work, data=learnt, folder=work.folder / JUDGE)).cpu()

    def right(images: Image, truth: np.ndarray[Any, Any]) -> dict[str, Any]:
        pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
        with torch.no_grad():
            found = torch.cat([critic(part).argmax(1) for part in pixels.split(256)]).numpy()
        share = wilson_interval(int((found == truth).sum()), len(truth))
        recalls = {
            name: float((found[truth == c] == c).mean())
            for c, name in enumerate(work.table.classes)
            if (truth == c).any()
        }
        return {"accuracy": share.value, "low": share.low, "high": share.high, "n": len(truth),
                "recalls": recalls}  # fmt: skip

    return {"synthetic": right(made, labels), "real": right(*_seen(others))}


def _sheet(
    made: Image,
    labels: np.ndarray[Any, Any],
    real: Image,
    truth: np.ndarray[Any, Any],
    table: AttributeTable,
) -> np.ndarray[Any, Any]:
    rows = []
    for c, name in list(enumerate(table.classes))[:SHEET_CLASSES]:
        beside = list(real[truth == c][:SHOWN])
        rows.append((name, list(made[labels == c][:SHOWN]), beside))
    return contact_sheet(rows)


def _configuration(out: Path) -> list[str]:
    """What a configuration says to use the models."""
    return [
        "[generator]",
        f"model = {json.dumps(str(out / PIPELINE))}",
        "",
        "[semantic]",
        f"encoder = {json.dumps(str(out / CLIP))}",
        f"attributes = {json.dumps(str(out / ATTRIBUTES))}",
    ]


def _card(material: Material, out: Path, judged: dict[str, Any], report: QualityReport) -> str:
    work, snippet = material.work, "\n".join(_configuration(out))
    lines = [
        "# A generator of one's own",
        "",
        f"Stable Diffusion and CLIP in miniature ({work.preset.image_size} pixels), trained by "
        f"`fairfed train-generator` on {material.about}. It knows nothing else.",
        "",
        "```toml",
        snippet,
        "```",
        "",
        "| network | steps | images seen |",
        "|---|---:|---:|",
    ]
    for name in work.preset.schedules:
        last = trained(work.folder, name)
        if last is not None:
            lines.append(f"| {name} | {last['step']:,} | {last['images']:,} |")
    lines += ["", "## Measured on real images that it never saw", ""]
    if judged:
        made, real = judged["synthetic"], judged["real"]
        lines += [
            f"- A classifier of held-out real images reads {100 * made['accuracy']:.1f} % of "
            f"{made['n']:,} synthetic images as their class (95 % interval "
            f"{100 * made['low']:.1f} to {100 * made['high']:.1f}); of {real['n']:,} real ones "
            f"{100 * real['accuracy']:.1f} %.",
        ]
    for score in report.classification:
        if score.accuracy.value is not None:
            lines.append(
                f"- Trained on the first, tested on the second, in its own CLIP's space: "
                f"{score.direction}: {100 * score.accuracy.value:.1f} %."
            )
    for name in ("kid", "precision", "coverage", "closer_than_1%", "membership_auc"):
        found = report.overall.get(name)
        if found is not None and found.value is not None:
            chance = "" if found.expected is None else f" (new real images: {found.expected:.3g})"
            lines.append(f"- {name}: {found.value:.3g}{chance}")
    lines += ["", f"{report.verdict.words}", "", f"![samples beside real images]({SHEET})", ""]
    return "\n".join(lines)
