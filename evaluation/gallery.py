"""Read the gallery of a run: real and synthetic images beside each other, cell by cell."""

from __future__ import annotations

from pathlib import Path

from evaluation.audit.tally import CROSSED
from evaluation.errors import InputError
from evaluation.fields import read_object
from evaluation.records import GalleryCell, SyntheticImage


def read_gallery(
    run_dir: Path, classes: tuple[str, ...], groups: tuple[str, ...]
) -> tuple[GalleryCell, ...]:
    """The cells of the gallery; none where the run has no gallery.

    Raises
    ------
    InputError
        If the file is malformed, or names a class, a group or a file that is not the run's.
    """
    path = run_dir / "synthetic" / "gallery.json"
    if not path.is_file():
        return ()
    cells = []
    # Where nothing is said of some sensitive columns, their values are "all".
    values = {value for group in groups for value in group.split(CROSSED)} | {"all"}
    for fields in read_object(path).objects("cells"):
        cell = GalleryCell(
            class_name=fields.text("class"),
            group=fields.text("group"),
            real=tuple(_inside(run_dir, name, fields.where) for name in fields.strings("real")),
            synthetic=tuple(
                SyntheticImage(
                    _inside(run_dir, image.text("file"), image.where),
                    image.number_or_none("score"),
                    image.number_or_none("margin"),
                )
                for image in fields.objects("synthetic")
            ),
        )
        if cell.class_name not in classes:
            raise fields.error("class", f"one of {list(classes)}", cell.class_name)
        if not values.issuperset(cell.group.split(CROSSED)):
            raise fields.error("group", f"one of {list(groups)}", cell.group)
        cells.append(cell)
    return tuple(cells)


def gallery_split(run_dir: Path) -> str:
    """Whose real images the gallery shows; those of earlier versions, which did not say, test's."""
    path = run_dir / "synthetic" / "gallery.json"
    return (read_object(path).text_or_none("split") if path.is_file() else None) or "test"


def _inside(run_dir: Path, name: str, where: str) -> Path:
    """Resolve a path of the gallery, which must not lead out of the run directory."""
    path = (run_dir / name).resolve()
    if not path.is_relative_to(run_dir.resolve()):
        raise InputError(f"{where}: file '{name}' lies outside the run directory")
    return path
