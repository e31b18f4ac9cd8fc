"""A commented site.toml for what a first look has found."""

from __future__ import annotations

from collections.abc import Iterator

from fairfed.sites.looking import Column, Look
from fairfed.sites.mapping import toml_key, toml_text

MOST_NAMES = 40
"""Labels or values that are written out."""


def first_toml(look: Look, name: str, source: str) -> str:
    """The text of a site.toml: what was understood is set, what must be told is asked for.

    Parameters
    ----------
    name
        Of the site.
    source
        `look.source` as seen from the folder of the file.
    """
    return "\n".join(_lines(look, name, source)) + "\n"


def questions(look: Look) -> list[str]:
    """What a person has to say before the site can take part, a sentence each."""
    asked = []
    if look.label is None:
        several = ", ".join(column.name for column in look.labels)
        asked.append(
            f"data.label: which column is the label? {several or 'none looks like one'}"
        )  # fmt: skip
    if not look.sensitive:
        asked.append("data.sensitive: no column looks sensitive; if one is, name it")
    else:
        columns = ", ".join(column.name for column in look.sensitive)
        asked.append(f"data.sensitive: which of {columns} does the study compare?")
    asked.append("data.labels, data.groups: what does the study call the values?")
    if look.split is None and not look.divided and look.unit == "images":
        asked.append("data.split: no column says what is for testing; a seeded fifth will be")
    if look.unreadable:
        asked.append("images that cannot be read: replace them, or remove their rows")
    return asked


def _lines(look: Look, name: str, source: str) -> Iterator[str]:
    yield "# One site of a federation. This file is read here and never sent; every setting is"
    yield "# described in docs/configuration.md. `fairfed site check` says what comes of it."
    yield f"name = {toml_text(name)}"
    yield ""
    yield f"[data]  # {look.layout}: {look.rows:,} {look.unit}"
    yield f"source = {toml_text(source)}"
    yield from _label(look)
    if look.split not in (None, "split"):
        yield f"split = {toml_text(str(look.split))}"
    elif look.split is None and not look.divided and look.unit == "images":
        yield '# split = "COLUMN"  # says train or test; without it a seeded fifth is for testing'
    yield ""
    yield from _sensitive(look)
    yield ""
    yield "# What becomes of names that the study does not know: an error, or left out and counted."
    yield 'unknown = "error"         # or "drop"'
    yield 'unknown_groups = "error"  # or "missing"'
    if look.unit == "images":
        yield 'unreadable = "skip"       # image files: skip 1 % at most, or "error"'
    yield ""
    yield "# [models]   # where this site has what the study names; without it, the bundled ones"
    yield '# encoder = "PATH or MODEL/PRETRAINED"'
    yield '# generator = "PATH"'
    yield ""
    yield "# [policy]   # what may leave this site"
    yield '# counts = "suppress"  # counts below min_count are not said'
    yield "# min_count = 10"
    yield "# max_rounds = 100"
    yield "# max_synthetic = 10000"


def _label(look: Look) -> Iterator[str]:
    """The label's column, and its values with room for the study's names."""
    if look.label is None:
        several = ", ".join(column.name for column in look.labels) or "none looks like a label"
        yield f'label = "?"  # TO TELL: which column? {several}'
        return
    if look.layout != "a folder for each class":
        yield f"label = {toml_text(look.label.name)}"
    yield '# TO TELL: the study\'s name of each label that it calls otherwise; "" leaves rows out.'
    yield from (f"# {line}" for line in _table("labels", look.label))


def _sensitive(look: Look) -> Iterator[str]:
    if not look.sensitive:
        yield '# sensitive = { sex = "COLUMN" }  # no column looks sensitive'
        return
    yield "# TO TELL: the study's sensitive columns = this site's own, and its names of the values."
    entries = ", ".join(f"{toml_key(c.name)} = {toml_text(c.name)}" for c in look.sensitive)
    yield f"# sensitive = {{ {entries} }}"
    for column in look.sensitive:
        if column.cuts:
            cuts = ", ".join(f"{cut:g}" for cut in column.cuts)
            yield f"# table.groups.{toml_key(column.name)} = [{cuts}]  # cut points of a number"
        else:
            yield from (f"# {line}" for line in _table(f"groups.{toml_key(column.name)}", column))


def _table(setting: str, column: Column) -> Iterator[str]:
    """One line for each value, in a form that TOML reads once the marks before it are gone."""
    for value, count in list(column.values.items())[:MOST_NAMES]:
        yield f"{setting}.{toml_key(value)} = {toml_text(value)}  # {count:,} rows"
    if len(column.values) > MOST_NAMES:
        yield f"… and {len(column.values) - MOST_NAMES:,} more"
