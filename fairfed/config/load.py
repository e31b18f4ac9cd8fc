"""Reading a configuration file, with errors that name the field and what to write instead."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fairfed.config.model import Config
from semantic.errors import InputError

_EXPECTED = {
    "bool_type": "expected true or false",
    "dict_type": "expected a table",
    "float_type": "expected a number",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "model_type": "expected a table",
    "string_type": "expected a string in quotes",
    "tuple_type": "expected an array in brackets",
}


def load_config(path: str | Path | None, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration file.

    Parameters
    ----------
    path
        A TOML file; None for the defaults alone.
    overrides
        Settings that replace the file's, each ``"dotted.name=value"``. The value is read as TOML,
        and as a string where that fails: ``train.lr=0.1``, ``model=cnn-gn``.

    Raises
    ------
    semantic.errors.InputError
        If the file cannot be read, is no TOML, or a setting is unknown or has a wrong value.
    """
    if path is None:
        return parse_config("", "the defaults", overrides)
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give the path of a configuration file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a text file ({error})") from error
    return parse_config(text, str(path), overrides)


def parse_config(text: str, source: str, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration from TOML text; `source` names it in errors. See `load_config`."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: not valid TOML: {error}") from error
    for override in overrides:
        _override(tree, override)
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        lines = [f"{source}: {_describe(details)}" for details in error.errors()]
        raise InputError("\n".join(lines)) from error


def _override(tree: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise InputError(f"override {override!r}: expected NAME=VALUE, e.g. train.lr=0.1")
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise InputError(f"override {override!r}: {key!r} is no table, so it has no settings")
    tree[keys[-1]] = _toml_value(value.strip())


def _toml_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _describe(details: ErrorDetails) -> str:
    where = _dotted(details["loc"])
    kind = details["type"]
    if kind == "extra_forbidden":
        return f"{where}: unknown setting; {_suggest(details['loc'])}"
    if kind == "missing":
        return f"{where}: missing; every {_dotted(details['loc'][:-1])} needs one"
    if kind == "value_error":
        message = str(details.get("ctx", {}).get("error", details["msg"]))
        return f"{where}: {message}" if where else message
    expected = _EXPECTED.get(kind) or details["msg"].replace("Input should be", "expected")
    return f"{where}: {expected}, got {details['input']!r}"


def _dotted(location: tuple[int | str, ...]) -> str:
    """``("arms", 1, "rule")`` as ``arms[1].rule``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _suggest(location: tuple[int | str, ...]) -> str:
    """Names near an unknown one: in its own table first, else where the name does belong."""
    unknown = str(location[-1])
    own = _fields(location[:-1])
    close = difflib.get_close_matches(unknown, own, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    elsewhere = [
        f"{section}.{unknown}"
        for section in Config.model_fields
        if section != "arms" and unknown in _fields((section,))
    ]
    if elsewhere:
        return f"did you mean {elsewhere[0]!r}?"
    return f"known here: {', '.join(own)}"


def _fields(location: tuple[int | str, ...]) -> list[str]:
    """Names of the settings of the table at `location`; empty if it is no table."""
    model: type[BaseModel] | None = Config
    for part in location:
        if isinstance(part, int) or model is None:
            continue
        model = _section(model, part)
    return list(model.model_fields) if model else []


def _section(model: type[BaseModel], field: str) -> type[BaseModel] | None:
    from fairfed.config.sections import Arm

    if field not in model.model_fields:
        return None
    annotation = model.model_fields[field].annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return Arm if field == "arms" else None
