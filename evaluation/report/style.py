"""How arms look, the same in every table and chart."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.records import Arm

PALETTE = 6
DASHES = ("", "7 3", "9 3 2 3", "4 4")
DOTTED = "2 3"
MARKS = ("circle", "square", "triangle", "diamond")


@dataclass(frozen=True)
class Look:
    """CSS class, line pattern and mark of an arm: never colour alone."""

    css: str
    dash: str
    mark: str


def look(index: int) -> Look:
    """The look of the arm, method or variant at a place."""
    dash = DASHES[index // len(MARKS) % len(DASHES)]
    return Look(f"c{index % PALETTE}", dash, MARKS[index % len(MARKS)])


def looks(arms: tuple[Arm, ...]) -> dict[str, Look]:
    """Give each arm a look; reference arms share the neutral colour and the dotted line."""
    own = [arm.name for arm in arms if not arm.reference]
    return {
        arm.name: Look("ref", DOTTED, "diamond") if arm.reference else look(own.index(arm.name))
        for arm in arms
    }
