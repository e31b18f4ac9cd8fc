"""A commented site.toml for what a first look has found."""

from __future__ import annotations

from evaluation.report.filling import template
from fairfed.sites.looking import Look
from fairfed.sites.mapping import toml_key, toml_text

MOST_NAMES = 40
"""Labels or values that are written out."""


def first_toml(look: Look, name: str, source: str) -> str:
    """The text of a site.toml: what was understood is set, what must be told is asked for.

    `source` is `look.source` as seen from the folder of the file.
    """
    filters = {"key": toml_key, "text": toml_text}
    form = template("site.toml.j2", "fairfed.sites", escape=False, **filters)
    text: str = form.render(look=look, name=name, source=source, most=MOST_NAMES)
    return text + "\n"


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
    if look.undivided:
        asked.append("data.split: no column says what is for testing; a seeded fifth will be")
    if look.unreadable:
        asked.append("images that cannot be read: replace them, or remove their rows")
    return asked
