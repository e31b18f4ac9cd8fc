"""The reference page of the configuration, made from the model.

``python -m fairfed.config.reference docs/configuration.md`` writes it; a test compares the two.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fairfed.config.base import Section, section_of
from fairfed.config.data import ReadingConfig
from fairfed.config.model import Config
from fairfed.config.pipeline import PipelineConfig
from fairfed.config.sections import Arm
from fairfed.config.site import SiteConfig, SiteData

_HEAD = """# Configuration

One TOML file describes a run, another one an augmentation, a third one a site. Relative paths start at the
current directory, those of a site at its folder. This page is made from `fairfed/config/` by `make docs`: change the descriptions there.

# A run

`fairfed run CONFIG` reads it, and writes it out in full as `config.toml` in the run directory.
"""

_PIPELINE = """
# An augmentation

`fairfed augment DATA --config CONFIG --out DIR` reads it, and writes it out in full as `DIR/config.toml`
([how it works](augment.md)). `[data]`, `[data.tint]`, `[semantic]` and `[generator]` are those of a run, see above.
"""

_SITE = """
# A site

`site.toml` describes what one site has at home: `fairfed site init` writes it, `fairfed site check` says what comes of
it. It is read at the site and never sent; relative paths start at its folder. Beside the settings below its `[data]` has
those of a run's that say how rows are read: READING.
"""

_READING = tuple(name for name in ReadingConfig.model_fields if name != "source")
"""Settings of `[data]` that a run and a site have in common."""


def reference_markdown() -> str:
    """The reference page: one table for each section of the file."""
    shared = set(_tables(Config).values())
    run: dict[str, type[Section]] = {"": Config, **_tables(Config), "[[arms]]": Arm}
    own = {title: m for title, m in _tables(PipelineConfig).items() if m not in shared}
    pipeline: dict[str, type[Section]] = {"": PipelineConfig, **own}
    site: dict[str, type[Section]] = {"": SiteConfig, **_tables(SiteConfig)}
    site = {title: m for title, m in site.items() if m not in shared}
    reading = ", ".join(f"`{name}`" for name in _READING)
    return (
        _HEAD
        + _sections(run)
        + _PIPELINE
        + _sections(pipeline, "An augmentation's top level")
        + _SITE.replace("READING", reading)
        + _sections(site, "A site's top level", "A site's ")
    )


def _sections(tables: dict[str, type[Section]], top: str = "Top level", whose: str = "") -> str:
    named = ((f"{whose}`{title}`" if title else top, model) for title, model in tables.items())
    return "".join(_section(title, model) for title, model in named)


def _tables(model: type[Section], within: str = "") -> dict[str, type[Section]]:
    """The tables of a configuration, by title."""
    tables: dict[str, type[Section]] = {}
    for name, field in model.model_fields.items():
        section = section_of(field.annotation)
        if section is not None:
            tables[f"[{within}{name}]"] = section
            tables |= _tables(section, f"{within}{name}.")
    return tables


def _section(title: str, model: type[Section]) -> str:
    schema = model.model_json_schema()
    required = schema.get("required", [])
    lines = [f"\n## {title}", "", str(model.__doc__).splitlines()[0], ""]
    lines += ["| setting | value | default | meaning |", "|---|---|---|---|"]
    for name, field in schema["properties"].items():
        if model is SiteData and name in _READING:
            continue  # a run's `[data]` describes it
        if any("$ref" in part for part in (field, field.get("items", {}), *field.get("anyOf", ()))):
            continue  # a table of its own
        default = "required" if name in required else _default(model, name)
        lines.append(f"| `{name}` | {_value(field)} | {default} | {field['description']} |")
    return "\n".join(lines) + "\n"


def _default(model: type[Section], name: str) -> str:
    default = model.model_fields[name].get_default(call_default_factory=True)
    if default is None:
        return "none"
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _value(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return _value(next(part for part in field["anyOf"] if part.get("type") != "null"))
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    names = {
        "array": "array of strings",
        "boolean": "true or false",
        "integer": "whole number",
        "number": "number",
        "object": "table",
        "string": "string",
    }
    bounds = [
        f"{sign} {_number(field[key])}"
        for key, sign in (
            ("minimum", "≥"),
            ("exclusiveMinimum", ">"),
            ("maximum", "≤"),
            ("exclusiveMaximum", "<"),
        )
        if key in field
    ]
    return " ".join([names[field["type"]], ", ".join(bounds)]).strip()


def _number(value: float) -> str:
    """``2**31`` as it stands, ``1.0`` as ``1``."""
    return str(int(value)) if value == int(value) else str(value)


def main(path: str) -> None:
    """Write the reference page to `path`."""
    Path(path).write_text(reference_markdown(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
