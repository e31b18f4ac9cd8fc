"""How groups are called, and the prompts that name them; nothing here needs an array."""

from __future__ import annotations

from string import Formatter

CROSSED = " × "
"""Joins the values of several sensitive columns to one group."""

UNKNOWN = "missing"
"""Group of a row whose sensitive value is unknown."""

UNNAMED_GROUPS = ("all", UNKNOWN)
"""Groups that say nothing about an image, and therefore stay out of prompts."""

TEMPLATES = ("a photo of a {group} {noun}", "a picture of a {group} {noun}", "a {group} {noun}")
"""Prompts of a cell; the first one generates, all of them score."""


def unfit_template(template: str) -> str:
    """Why a prompt template cannot be filled in; empty where it can."""
    try:
        fields = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        further = sorted(fields - {"noun", "group"})
        if further:
            return (
                f"prompt template {template!r} has the field {{{further[0]}}}; there are {{noun}} "
                "and {group}"
            )
        template.format(noun="", group="")
    except ValueError as error:
        return (
            f"prompt template {template!r} cannot be read ({error}); write a brace that is part of "
            "the text twice"
        )
    if "noun" not in fields:
        return f"prompt template {template!r} lacks the field {{noun}}; add it"
    return ""
