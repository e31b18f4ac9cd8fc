"""From options and a settings file to what `evaluation.audit` takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from evaluation.audit.labels import class_text, group_text, missing_texts
from evaluation.audit.noise import Declared
from evaluation.audit.options import AuditOptions
from evaluation.audit.schema import MISSING
from evaluation.audit.settings import ReadSettings
from fairfed.config import load_model
from fairfed.config.audit import AuditConfig
from fairfed.config.load import validated
from semantic.errors import InputError

NO_TRUTH = "which column holds the truth? Give --truth, or `truth` in the settings file"
NO_SENSITIVE = (
    "which columns are sensitive? Give --sensitive for each, or `sensitive` in the settings file"
)
NO_DATA = "no data to audit; give files, directories, globs, or the directory of a run"
PAIR = "{option} {text!r}: expected {form}"
READ_NAMES = tuple(field.name for field in fields(ReadSettings))
"""Settings that say how rows are read."""
NOT_A_NUMBER = "{option} {text!r}: {part!r} is no number; expected COLUMN=NUMBER,NUMBER"


def resolve(path: Path | None, options: Mapping[str, Any]) -> AuditConfig:
    """Settings of a file, with options that are given in their place.

    Options are texts by name of the setting; None and empty ones were not given. Raises
    `InputError` if the file or an option is not as it should be.
    """
    base = load_model(AuditConfig, path)
    given = {
        name: PARSERS[name](text) if name in PARSERS else text
        for name, text in options.items()
        if text not in (None, (), [], {})
    }
    if not given:
        return base
    tree = base.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    source = "the options" if path is None else f"{path} and the options"
    return validated(AuditConfig, {**tree, **given}, source)


def needs_columns(config: AuditConfig) -> bool:
    """Whether the names of the data's columns decide what settings mean; see `with_columns`."""
    by_class = isinstance(config.score, str) and "=" in config.score
    return by_class or any("," in name for name in config.sensitive)


def with_columns(config: AuditConfig, columns: Collection[str]) -> AuditConfig:
    """The settings, read with the names of the data's columns, which win over any other meaning.

    ``sex,race`` are two sensitive columns where none has that very name, and ``1=p`` is the score
    ``p`` of class 1.
    """
    names = ([name] if name in columns else _commas(name) for name in config.sensitive)
    update: dict[str, Any] = {"sensitive": tuple(name for own in names for name in own)}
    score = config.score
    if isinstance(score, str) and "=" in score and score not in columns:
        update["score"] = by_class = _scores_by_class([score])
        name, column = next(iter(by_class.items()))
        if config.positive is None or str(config.positive) == name:
            update |= {"score": column, "positive": name}
    return config.model_copy(update=update)


def _scores(texts: list[str]) -> str | dict[str, str]:
    """``CLASS=COLUMN`` for each class; one text alone may be a column (see `with_columns`)."""
    return texts[0] if len(texts) == 1 else _scores_by_class(texts)


def _scores_by_class(texts: list[str]) -> dict[str, str]:
    return dict(_pair("--score", text, "CLASS=COLUMN for each of several") for text in texts)


def _cuts(texts: list[str]) -> dict[str, list[float]]:
    return {column: _numbers(column, values) for column, values in map(_cut_pair, texts)}


def _cut_pair(text: str) -> tuple[str, str]:
    # Numbers have no "=", a column may.
    return _pair("--cuts", text, "COLUMN=NUMBER,NUMBER, such as age=25,45", last=True)


def _numbers(column: str, text: str) -> list[float]:
    found = []
    for part in text.split(","):
        try:
            found.append(float(part))
        except ValueError:
            whole = f"{column}={text}"
            raise InputError(NOT_A_NUMBER.format(option="--cuts", text=whole, part=part)) from None
    return found


def _levels(texts: list[str]) -> dict[str, list[str]]:
    pairs = (_pair("--levels", text, "COLUMN=VALUE,VALUE, such as sex=f,m") for text in texts)
    return {column: _commas(values) for column, values in pairs}


def _crosses(texts: list[str]) -> list[list[str]]:
    return [_commas(text) for text in texts]


def _commas(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _pair(option: str, text: str, form: str, *, last: bool = False) -> tuple[str, str]:
    name, equals, value = text.rpartition("=") if last else text.partition("=")
    if not (name and equals and value):
        raise InputError(PAIR.format(option=option, text=text, form=form))
    return name.strip(), value


PARSERS: dict[str, Callable[[Any], Any]] = {
    "score": _scores,
    "cuts": _cuts,
    "levels": _levels,
    "by": _crosses,
    "classes": _commas,
    "missing_values": _commas,
}
"""From texts of the command line to the settings that they stand for."""


def read_settings(config: AuditConfig) -> ReadSettings:
    """What is read of the rows; `InputError` if columns are not named or settings contradict."""
    if config.truth is None:
        raise InputError(NO_TRUTH)
    if not config.sensitive:
        raise InputError(NO_SENSITIVE)
    return ReadSettings(**{name: getattr(config, name) for name in READ_NAMES})


def audit_options(config: AuditConfig) -> AuditOptions:
    """What the audit computes."""
    return AuditOptions(**{own.name: getattr(config, own.name) for own in fields(AuditOptions)})


def declared_names(config: AuditConfig) -> Declared:
    """Names that the settings declare, written as the reader writes them."""
    texts = missing_texts(config.missing_values)
    levels = {
        column: [group_text(value, texts) or MISSING for value in values]
        for column, values in config.levels.items()
    }
    clients = levels.pop(config.client, []) if config.client is not None else []
    missing = config.missing == "group"
    if clients and missing:
        clients = [*clients, MISSING]
    classes = [class_text(value, texts) or MISSING for value in config.classes]
    return Declared(classes, levels, clients, missing)
