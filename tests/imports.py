"""Who imports whom in our packages, read from the source: at once, or inside functions."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
Import = ast.Import | ast.ImportFrom
PACKAGES = ("fairfed", "generators", "semantic", "evaluation")


@dataclass
class Imports:
    """What a module imports: names of our modules, and of others' packages."""

    at_once: set[str] = field(default_factory=set)
    in_functions: set[tuple[int, str]] = field(default_factory=set)
    """Line and module."""
    others: set[str] = field(default_factory=set)
    """Packages of others, at once."""


@cache
def modules() -> Mapping[str, Imports]:
    """All our modules by name."""
    files = {_name(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    return {name: _read(path, name, files.keys()) for name, path in sorted(files.items())}


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _read(path: Path, name: str, known: Iterable[str]) -> Imports:
    found, tree = Imports(), ast.parse(path.read_text(encoding="utf-8"))
    for node, within in _walk(tree):
        for target in _targets(node):
            own = _own(target, known)
            if own is None and not within:
                found.others.add(target.partition(".")[0])
            elif own is not None and own != name:
                if within:
                    found.in_functions.add((node.lineno, own))
                else:
                    found.at_once.add(own)
    # Python runs a package's __init__ before its modules.
    found.at_once.update(parent for parent in _parents(name) if parent in known)
    return found


def _walk(
    tree: ast.AST, within: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """All imports, and whether they are inside a function; none that are for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, Import):
            yield node, within
        inner = within or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _walk(node, inner)


def _targets(node: Import) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [f"{node.module}.{alias.name}" for alias in node.names]


def _own(target: str, known: Iterable[str]) -> str | None:
    """The module of ours that is imported: itself, or the one that holds the name."""
    return next((name for name in (target, target.rpartition(".")[0]) if name in known), None)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


@cache
def loaded_with(name: str) -> frozenset[str]:
    """Packages of others that are loaded when a module of ours is."""
    seen, waiting = set[str](), [name]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += modules()[one].at_once
    return frozenset().union(*(modules()[one].others for one in seen))


def circles() -> list[frozenset[str]]:
    """Sets of modules that import each other, inside functions too."""
    graph = {
        name: found.at_once - set(_parents(name)) | {target for _, target in found.in_functions}
        for name, found in modules().items()
    }
    reached = {name: _reached(name, graph) for name in graph}
    rings = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in graph
        if name in reached[name]
    }
    return sorted(rings, key=sorted)


def _reached(name: str, graph: Mapping[str, set[str]]) -> set[str]:
    seen, waiting = set[str](), list(graph[name])
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += graph[one]
    return seen
