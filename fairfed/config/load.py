"""Reading a configuration file, with errors that name the field and what to write instead."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fairfed.config.base import Section, section_of
from fairfed.config.former import renamed
from fairfed.config.model import Config
from fairfed.config.sections import Arm
from fairfed.presets import load_preset
from semantic.errors import InputError

Model = TypeVar("Model", bound=Section)

_EXPECTED = {
    "bool_type": "expected true or false",
    "dict_type": "expected a table",
    "float_type": "expected a number",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "model_type": "expected a table",
    "string_type": "expected a string in quotes",
    "too_short": "expected at least {min_length} of them",
    "tuple_type": "expected an array in brackets",
}


def load_config(
    path: str | Path | None, overrides: Iterable[str] = (), preset: str | None = None
) -> Config:
    """Read the configuration file of a run; see `load_model`."""
    return load_model(Config, path, overrides, preset)


def parse_config(text: str, source: str, overrides: Iterable[str] = ()) -> Config:
    """Read the configuration of a run from TOML text; see `load_model`."""
    return parse_model(Config, text, source, overrides)


def load_model(
    model: type[Model],
    path: str | Path | None,
    overrides: Iterable[str] = (),
    preset: str | None = None,
) -> Model:
    """Read a configuration file.

    Parameters
    ----------
    model
        What the file describes: `Config` (a run) or `PipelineConfig` (an augmentation).
    path
        A TOML file; None for the defaults alone.
    overrides
        Settings that replace the file's, each ``"dotted.name=value"``. The value is read as TOML,
        and as a string where that fails: ``train.lr=0.1``, ``model=cnn-gn``.
    preset
        Name of a packaged configuration (`fairfed.presets`) that the file changes; see `merged`.

    Raises
    ------
    semantic.errors.InputError
        If the file cannot be read, is no TOML, or a setting is unknown or has a wrong value.
    """
    if preset is not None:
        tree, source = _tree(load_preset(preset).text, preset), f"preset {preset!r}"
        if path is not None:
            tree, source = merged(tree, _tree(_read(Path(path)), path)), f"{path} on {source}"
        return validated(model, tree, source, overrides)
    if path is None:
        return parse_model(model, "", "the defaults", overrides)
    return parse_model(model, _read(Path(path)), str(path), overrides)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a text file ({error})") from error


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with others laid over them: tables setting by setting, arrays as a whole.

    Arguments (`options`) of one thing do not suit another, so they go where a table's `name`
    changes.
    """
    found = dict(base)
    if changes.get("name", base.get("name")) != base.get("name"):
        found.pop("options", None)
    for name, value in changes.items():
        both = isinstance(value, dict) and isinstance(found.get(name), dict) and name != "options"
        found[name] = merged(found[name], value) if both else value
    return found


def parse_model(model: type[Model], text: str, source: str, overrides: Iterable[str] = ()) -> Model:
    """Read a configuration from TOML text; `source` names it in errors. See `load_model`."""
    return validated(model, _tree(text, source), source, overrides)


def _tree(text: str, source: str | Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: not valid TOML: {error}") from error


def validated(
    model: type[Model], tree: dict[str, Any], source: str, overrides: Iterable[str] = ()
) -> Model:
    """The configuration of a tree of settings with some of them replaced; see `load_model`."""
    for override in sorted(overrides, key=_other_than_name):
        _override(tree, override)
    try:
        return model.model_validate(renamed(tree))
    except ValidationError as error:
        lines = [f"{source}: {_describe(model, details)}" for details in _causes(error.errors())]
        raise InputError("\n".join(lines)) from error


def _causes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Errors less those that an array is too short, where it is only so for an entry is wrong."""
    places = [details["loc"] for details in errors]
    return [
        details
        for details in errors
        if details["type"] != "too_short"
        or not any(place[:-1] == details["loc"] for place in places)
    ]


def _other_than_name(override: str) -> bool:
    """Sorts the overrides: what a thing is comes before its options, which go with the old name."""
    return override.partition("=")[0].strip().rpartition(".")[2] != "name"


def _override(tree: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"override {override!r}: expected NAME=VALUE, e.g. train.lr=0.1")
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise InputError(f"override {override!r}: {key!r} is no table, so it has no settings")
    chosen = _toml_value(value.strip())
    if keys[-1] == "name" and chosen != tree.get("name"):
        tree.pop("options", None)  # as in `merged`
    tree[keys[-1]] = chosen


def _toml_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _describe(model: type[Section], details: ErrorDetails) -> str:
    where = _dotted(details["loc"])
    kind = details["type"]
    if kind == "extra_forbidden":
        return f"{where}: unknown setting; {_suggest(model, details['loc'])}"
    if kind == "missing":
        return f"{where}: missing; {_owner(details['loc'][:-1])} needs one"
    if kind == "value_error":
        message = str(details.get("ctx", {}).get("error", details["msg"]))
        return f"{where}: {message}" if where else message
    known = _EXPECTED.get(kind, "").format_map(details.get("ctx", {}))
    expected = known or details["msg"].replace("Input should be", "expected")
    return f"{where}: {expected}, got {details['input']!r}"


def _owner(location: tuple[int | str, ...]) -> str:
    """What an error calls the table at `location`: one of an array, a section, or the file."""
    if any(isinstance(part, int) for part in location):
        return f"every {_dotted(location)}"
    return f"[{_dotted(location)}]" if location else "the file"


def _dotted(location: tuple[int | str, ...]) -> str:
    """``("arms", 1, "rule")`` as ``arms[1].rule``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _suggest(model: type[Section], location: tuple[int | str, ...]) -> str:
    """Where an unknown name does belong, or else names near it in its own table."""
    unknown = str(location[-1])
    own = _fields(model, location[:-1])
    elsewhere = [
        f"{section}.{unknown}"
        for section in model.model_fields
        if section != "arms" and unknown in _fields(model, (section,))
    ]
    if elsewhere:
        return f"did you mean {elsewhere[0]!r}?"
    close = difflib.get_close_matches(unknown, own, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(own)}"


def _fields(model: type[Section], location: tuple[int | str, ...]) -> list[str]:
    """Names of the settings of the table at `location`; empty if it is no table."""
    table: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or table is None:
            continue
        table = _section(table, part)
    return list(table.model_fields) if table else []


def _section(model: type[BaseModel], field: str) -> type[BaseModel] | None:
    if field not in model.model_fields:
        return None
    if field == "arms":
        return Arm
    return section_of(model.model_fields[field].annotation)
