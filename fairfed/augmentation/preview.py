"""The contact sheet: a few images of a few cells, before anything is planned in earnest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluation.files import write_whole
from fairfed.augmentation.output_dir import PREVIEW
from fairfed.augmentation.pipeline import OWNER, Pipeline
from fairfed.augmentation.plan import wanted_cells
from generators.plan import Cells
from generators.requests import Image
from generators.store import encode_png

MOST_CELLS, IMAGES_PER_CELL = 8, 4
SIDE, GAP, HEADING = 96, 6, 16
"""Pixels: a shown image, the space between two, the line of text above a cell's images."""


def write_preview(pipeline: Pipeline) -> list[str]:
    """Write `preview.png`: synthetic images of a few cells beside real ones of the same cell.

    Its images are the first ones of the plan and stay in the store, so nothing is made twice.
    Returned are the names of the cells shown, from the top.
    """
    nameable = np.where(pipeline.source.nameable, pipeline.source.cells, 0)
    wanted = wanted_cells(pipeline.config, pipeline.source)
    cells = preview_cells(nameable, wanted)
    for_each = np.zeros_like(wanted)
    for cell in cells:
        for_each[cell] = IMAGES_PER_CELL
    pipeline.check(for_each)
    maker = pipeline.synthesiser()
    requests = {
        cell: [maker.request(*cell, i, OWNER) for i in range(IMAGES_PER_CELL)] for cell in cells
    }
    every = [request for own in requests.values() for request in own]
    pipeline.generator.announce(request for request in every if pipeline.lacks(request))
    rows = []
    for cell, own in requests.items():
        made, _ = maker.first(*cell, IMAGES_PER_CELL, OWNER)
        heading = f"{pipeline.space.cell(*cell)}: {own[0].prompt}"
        real = pipeline.source.table.images[pipeline.source.rows_of(*cell)[:IMAGES_PER_CELL]]
        rows.append((heading, made, list(real)))
    sheet = contact_sheet(rows)
    pipeline.output.begin()
    write_whole(pipeline.output.path / PREVIEW, encode_png(sheet, {"synthetic": "partly"}))
    return [str(pipeline.space.cell(*cell)) for cell in cells]


def preview_cells(real: Cells, wanted: Cells) -> list[tuple[int, int]]:
    """Cells to show: those that are filled, the emptiest first and classes in turn; else any."""
    candidates = np.argwhere(wanted > 0) if wanted.any() else np.argwhere(real > 0)
    turn: dict[int, int] = {}
    ranked = []
    for c, g in sorted(candidates.tolist(), key=lambda cell: int(real[cell[0], cell[1]])):
        turn[c] = turn.get(c, 0) + 1
        ranked.append((turn[c], int(real[c, g]), c, g))
    return [(c, g) for _, _, c, g in sorted(ranked)[:MOST_CELLS]]


def contact_sheet(rows: list[tuple[str, list[Image], list[Image]]]) -> npt.NDArray[np.uint8]:
    """Draw a sheet: per row a heading, synthetic images at the left and real ones at the right."""
    from PIL import Image as Pillow
    from PIL import ImageDraw

    half = IMAGES_PER_CELL * (SIDE + GAP)
    size = 2 * half + 3 * GAP, HEADING + len(rows) * (HEADING + SIDE + GAP) + GAP
    sheet = Pillow.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 2), "synthetic", fill="black")
    draw.text((half + 2 * GAP, 2), "real (training)", fill="black")
    for number, (heading, synthetic, real) in enumerate(rows):
        top = HEADING + number * (HEADING + SIDE + GAP)
        # Pillow's own font has no ×, and no letters beyond Latin-1.
        words = heading.replace("×", "/").encode("latin-1", "replace").decode("latin-1")
        draw.text((GAP, top + 2), words, fill="black")
        if not real:
            draw.text((half + 2 * GAP, top + HEADING), "none", fill="grey")
        for left, images in ((GAP, synthetic), (half + 2 * GAP, real)):
            for i, image in enumerate(images):
                scaled = Pillow.fromarray(image).resize((SIDE, SIDE), Pillow.Resampling.NEAREST)
                sheet.paste(scaled, (left + i * (SIDE + GAP), top + HEADING))
    return np.asarray(sheet, np.uint8)
