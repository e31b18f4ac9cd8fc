"""Templates and files, as all reports fill and write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evaluation import numbers
from evaluation.errors import InputError
from evaluation.export import plain
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
    "called": numbers.called,
    "heading": numbers.heading,
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


def filled(name: str, values: Mapping[str, Any]) -> str:
    """A page of the reports, on which every text is escaped, or a text."""
    text: str = template(name, "evaluation.report", escape=".html" in name).render(values)
    return text


def plain_json(content: Any) -> str:
    """The file for programs beside a page; undefined numbers are null."""
    return json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


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
