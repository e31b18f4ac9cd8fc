"""What is known of a class or cell, in words: its neighbours, whether it can be composed, prompts.

The classes and cells that count as seen are named by the user; no image is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairfed.config import PipelineConfig
from fairfed.sites.conditioning import describer
from fairfed.sites.semantics import attribute_table
from semantic.attributes import AttributeTable, load_attributes
from semantic.composable import composability
from semantic.composable_cells import cell_composability
from semantic.conditioning import Describer, Description
from semantic.encoder import ClipEncoder, load_encoder
from semantic.errors import InputError
from semantic.memory import SemanticMemory, compose, remember
from semantic.naming import CROSSED, TEMPLATES, UNNAMED_GROUPS
from semantic.site_files import read_prototypes
from semantic.space import Cell, SemanticSpace

Vectors = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class Verdict:
    """Whether something unseen can be composed, and a sentence for the user."""

    composable: bool
    reason: str


@dataclass(frozen=True)
class Explanation:
    """What is known of one class or cell."""

    name: str  # as asked
    neighbours: str  # one sentence for each of the seen classes most like it, the nearest first
    verdicts: tuple[Verdict, ...]  # on its class and on its cell, as far as they are unseen
    note: str  # why its cell is not judged, or empty
    # What conditions its images, by the setting that does it: the configured one first, for the
    # configured seed; for an unseen class also what `conditioning.recall` would make of it.
    prompts: tuple[tuple[str, Description], ...]


def explain(
    config: PipelineConfig,
    asked: Sequence[str],
    seen: Sequence[str] = (),
    attributes: Path | None = None,
    prototypes: Path | None = None,
    nearest: int = 1,
) -> list[Explanation]:
    """Explain classes (``Bag``) and cells (``Bag × red``), each beside the `nearest` seen classes.

    A seen cell's class is seen. Without `seen`, every class of the table is that is not asked for.
    `attributes` and `prototypes` are files in place of those of the configuration.

    Raises `InputError` if a file is not as it should be, a class is in no row of the table, nothing
    is seen, or the conditioning mode needs what the class does not have.
    """
    table = _table(config, [*asked, *seen], attributes)
    cells = {name: _cell(name, table) for name in (*asked, *seen)}
    wanted = [cells[name] for name in asked]
    known = _seen_classes(table, wanted, [cells[name] for name in seen])
    unseen = [name for name in dict.fromkeys(c.class_name for c in wanted) if name not in known]
    groups = tuple(dict.fromkeys(cell.group for cell in wanted))
    templates = config.semantic.templates or TEMPLATES
    space = SemanticSpace((*known, *unseen), groups, table, templates)
    table = space.table.of(space.classes)
    encoder = load_encoder(config.semantic.encoder)
    vectors = _vectors(prototypes or config.conditioning.prototypes, encoder, table)
    by_class = {name: v for name, v in vectors.items() if name in table.classes}
    memory = remember(encoder, table, known, by_class)
    chosen = config.conditioning
    describing = describer(
        space, chosen.model_copy(update={"recall": False}), None, vectors, by_name=False
    )
    classes = {
        found.class_name: Verdict(found.composable, found.explain())
        for found in (composability(table, unseen) if unseen else [])
    }
    seen_cells = {cells[name] for name in seen if cells[name].group not in UNNAMED_GROUPS}
    return [
        Explanation(
            name,
            memory.explain(cell.class_name, nearest),
            _verdicts(cell, classes, seen_cells),
            "" if seen_cells or cell.group in UNNAMED_GROUPS else _unjudged(cell),
            _prompts(describing, memory, space, cell, config),
        )
        for name, cell in zip(asked, wanted, strict=True)
    ]


def _table(config: PipelineConfig, names: list[str], path: Path | None) -> AttributeTable:
    """The given table, else the configured one; of the named classes if it is `names`."""
    if path is not None:
        return load_attributes(path)
    classes = tuple(dict.fromkeys(name.partition(CROSSED)[0] for name in names))
    return attribute_table(config.semantic, classes)


def _cell(name: str, table: AttributeTable) -> Cell:
    """A class, or a class and a group; a class of the table may hold the cross in its name."""
    if name in table.classes:
        return Cell(name, UNNAMED_GROUPS[0])
    class_name, _, group = name.partition(CROSSED)
    table.row(class_name)
    return Cell(class_name, group or UNNAMED_GROUPS[0])


def _seen_classes(
    table: AttributeTable, wanted: Sequence[Cell], seen: Sequence[Cell]
) -> tuple[str, ...]:
    """Classes of what is named as seen; else all but those asked for as classes."""
    asked = {cell.class_name for cell in wanted if cell.group in UNNAMED_GROUPS}
    names = {cell.class_name for cell in seen} or set(table.classes) - asked
    others = [name for name in names if any(name != cell.class_name for cell in wanted)]
    if not others:
        raise InputError(
            "no seen class is left to compare with; name classes of the attribute table with --seen"
        )
    return tuple(name for name in table.classes if name in names)


def _vectors(path: Path | str | None, encoder: ClipEncoder, table: AttributeTable) -> Vectors:
    """Usable prototypes of the classes of the table and of their cells."""
    if path is None:
        return {}
    released = read_prototypes(Path(path), encoder.fingerprint).prototypes()
    found = {
        name: prototype.vector
        for name, prototype in released.items()
        if name in table.classes or name.partition(CROSSED)[0] in table.classes
    }
    if not found:
        raise InputError(
            f"{path} has a prototype of none of these classes: {', '.join(table.classes)}; it has "
            f"{', '.join(released) or 'none at all'}"
        )
    return {name: vector for name, vector in found.items() if released[name].usable}


def _prompts(
    describing: Describer,
    memory: SemanticMemory,
    space: SemanticSpace,
    cell: Cell,
    config: PipelineConfig,
) -> tuple[tuple[str, Description], ...]:
    chosen, unseen = config.conditioning, cell.class_name not in memory.seen
    found = []
    if not (unseen and chosen.recall):
        described = describing.describe(cell, config.seed)
        found.append((f"conditioning.mode = {chosen.mode}", described))
    if unseen:
        composed = compose(memory, space, cell, chosen.weight)
        found.append(("conditioning.recall", composed))
    return tuple(found)


def _verdicts(cell: Cell, classes: Mapping[str, Verdict], seen: set[Cell]) -> tuple[Verdict, ...]:
    """On the class if it is unseen; on the cell if it is, and others are said to be seen."""
    found = [classes[cell.class_name]] if cell.class_name in classes else []
    if seen and cell.group not in UNNAMED_GROUPS and cell not in seen:
        pairs = {(c.class_name, c.group) for c in seen}
        judged = cell_composability((cell.class_name, cell.group), pairs)
        found.append(Verdict(judged.composable, judged.reason))
    return tuple(found)


def _unjudged(cell: Cell) -> str:
    return f"{cell} is not judged: name the cells that there are with --seen 'CLASS{CROSSED}GROUP'"
