"""Templates and files, as all reports fill and write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evaluation import numbers
from evaluation.client_names import called, heading
from evaluation.errors import InputError
from evaluation.files import replace_text

CANNOT = "{path}: the reports cannot be written there ({reason}); give another directory"
FILTERS: dict[str, Callable[..., Any]] = {
    "amount": numbers.amount,
    "gap": numbers.gap,
    "points": numbers.points,
    "interval": numbers.span,
    "count": numbers.count,
    "probability": numbers.probability,
    "duration": numbers.duration,
    "called": called,
    "heading": heading,
}
"""What every template writes numbers and clients with."""


def template(name: str, *packages: str, escape: bool, **filters: Callable[..., Any]) -> Any:
    """A template of the first of some packages that has it, with `FILTERS` and others."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS | filters)
    return environment.get_template(name)


def write_texts(directory: str | Path, texts: Mapping[str, tuple[str, str]]) -> dict[str, Path]:
    """Write files, name and content by kind, into a directory, which is made; the files by kind."""
    paths = {kind: Path(directory) / name for kind, (name, _) in texts.items()}
    with writing_into(Path(directory)):
        for kind, (_, text) in texts.items():
            replace_text(paths[kind], text)
    return paths


@contextmanager
def writing_into(directory: Path) -> Iterator[None]:
    """Make a directory; an error of the file system meanwhile is one that a user can mend."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise InputError(CANNOT.format(path=directory, reason=error.strerror)) from error
