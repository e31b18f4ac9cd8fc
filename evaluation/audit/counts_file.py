"""Files of counts: what a site may hand out, and what `fairfed audit merge` reads.

One JSON file holds the schema, sparse counts as lists of integers, and how they were protected.
Nothing else of the rows is in it. A checksum over the content finds damage, and finds the same file
given twice. Equal counts make equal files, byte by byte.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evaluation.audit.counts_content import Content, counted, parse_content, tally_of
from evaluation.audit.release import Release
from evaluation.audit.schema import VERSION, united
from evaluation.audit.tally import Tally
from evaluation.errors import InputError
from evaluation.files import write_whole

FORMAT = "fairfed counts"
LARGEST_SUM = 2**63 - 1
FIRST_VERSION = 1
"""Held weights and errors rounded to a fixed unit; the counts of rows are the same."""

NOT_COUNTS = "{path}: is no file of counts ({why}); write one with `fairfed audit count`"
OTHER_VERSION = (
    "{path}: is of version {found}, this fairfed {ours} reads version {version}: count again with "
    "the same fairfed as the others"
)
ROUNDED = (
    "{path}: is of version 1, which rounded {what} to multiples of {unit}: small ones are lost in "
    "it. Count again with this fairfed"
)
DAMAGED = "{path}: is damaged, its checksum is not that of its content: copy or count it again"
TWICE = (
    "{path}: holds the same counts as {other}; give each site's file once. Two sites with truly "
    "equal counts need names: `fairfed audit count --site NAME`"
)
ODD_CLASSES = (
    "these files have {n} labels together, and none of them knows all: {labels}. Correct them and "
    "count again, or state them all with --classes at each site"
)
OVERFLOW = "the counts of these files add up to more than 64 bits hold; is one of them damaged?"


@dataclass(frozen=True, eq=False)
class CountsFile:
    """A file of counts."""

    tally: Tally  # noised counts may be negative
    releases: tuple[Release, ...]  # how they were protected, once for every site in it
    sites: tuple[str, ...]  # checksums of the sites' files; of a file that is not merged, its own


def write_counts(path: str | Path, tally: Tally, release: Release | None = None) -> None:
    """Write the counts of a site, whole or not at all.

    Parameters
    ----------
    path : path-like
        Target; replaced if it exists.
    tally : Tally
        Counts, protected already.
    release : Release, optional
        How they were protected; exact counts otherwise.
    """
    write_merged(path, CountsFile(tally, (release or Release(),), ()))


def write_merged(path: str | Path, merged: CountsFile) -> None:
    """Write merged counts as a file that merges in turn; whole or not at all."""
    try:
        write_whole(Path(path), encode_counts(merged.tally, merged.releases, merged.sites))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error


def encode_counts(tally: Tally, releases: Sequence[Release], sites: Sequence[str] = ()) -> bytes:
    """The content of a file of counts; `sites` are the checksums of those that it merges."""
    tally.refuse_exact_scores()
    canonical = tally.under(united(tally.schema, tally.schema))
    content = Content(
        FORMAT,
        VERSION,
        version("fairfed"),
        canonical.schema,
        tuple(releases),
        tuple(sorted(sites)),
        counted(canonical.confusion),
        counted(canonical.scores),
        counted(canonical.errors),
    )
    plain = asdict(content)
    del plain["checksum"]
    plain["checksum"] = _checksum(plain)
    return (json.dumps(plain, ensure_ascii=False) + "\n").encode()


def read_counts(path: str | Path) -> Tally:
    """Read the counts of a file; see `decode_counts` for errors."""
    return read_counts_file(path).tally


def read_counts_file(path: str | Path) -> CountsFile:
    """Read a file of counts; see `decode_counts` for errors."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    return decode_counts(data, str(path))


def decode_counts(data: bytes, where: str) -> CountsFile:
    """Read the content of a file of counts; `where` names it in errors.

    Refused if it is something else, of another version, damaged, or contradicts itself.
    """
    plain = _parsed(data, where)
    if plain.get("format") != FORMAT:
        raise InputError(NOT_COUNTS.format(path=where, why=f"its format is not {FORMAT!r}"))
    found = plain.get("version")
    if found not in (FIRST_VERSION, VERSION):
        text = OTHER_VERSION.format(
            path=where, found=found, ours=version("fairfed"), version=VERSION
        )
        raise InputError(text)
    checksum = plain.pop("checksum", None)
    if checksum != _checksum(plain):
        raise InputError(DAMAGED.format(path=where))
    if found == FIRST_VERSION:
        data = _updated({**plain, "checksum": checksum}, where)
    content = parse_content(data, where)
    if not content.releases:
        raise InputError(f"{where}: field 'releases': expected one for every site")
    sites = content.sites or (content.checksum,)
    return CountsFile(tally_of(content, where), content.releases, sites)


def merge_counts(paths: Sequence[str | Path]) -> CountsFile:
    """Add up files of counts; see `add_up`.

    Raises
    ------
    InputError
        If there is none, one is not as it should be, or they do not fit together.
    """
    return add_up((str(path), read_counts_file(path)) for path in paths)


def add_up(files: Iterable[tuple[str, CountsFile]]) -> CountsFile:
    """The counts of all files, each with a name for errors; in any order and grouping the same.

    Refused if there is none, two hold the same counts, or they were counted with different
    settings, or only together have more than two classes.
    """
    tally: Tally | None = None
    releases: list[Release] = []
    classes: dict[str, tuple[str, ...]] = {}
    seen: dict[str, str] = {}
    largest = 0
    for name, file in files:
        for site in file.sites:
            if site in seen:
                raise InputError(TWICE.format(path=name, other=seen[site]))
            seen[site] = name
        classes[name] = file.tally.schema.classes
        largest += _largest(file.tally)
        if largest > LARGEST_SUM:
            raise InputError(OVERFLOW)
        try:
            tally = file.tally if tally is None else tally + file.tally
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        releases.extend(file.releases)
    if tally is None:
        raise InputError("no file of counts to merge; give those of `fairfed audit count`")
    _check_classes(tally, classes)
    ordered = sorted(releases, key=lambda release: astuple(release))
    return CountsFile(tally, tuple(ordered), tuple(sorted(seen)))


def _check_classes(total: Tally, classes: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a third class that no file knows of: a label mistyped at one site is none."""
    merged = total.schema.classes
    if len(merged) < 3 or merged in classes.values():
        return
    first: dict[str, str] = {}
    for name, own in classes.items():
        first = dict.fromkeys(own, name) | first
    labels = ", ".join(f"{label!r} ({first[label]})" for label in merged)
    raise InputError(ODD_CLASSES.format(n=len(merged), labels=labels))


def _largest(tally: Tally) -> int:
    """Bound on any sum of a tally's counts of rows, as an integer without limit."""
    parts = [p for p in (tally.confusion, tally.scores, tally.errors) if p is not None]
    return max(sum(abs(int(value)) for value in part.rows) for part in parts)


def _updated(plain: dict[str, Any], where: str) -> bytes:
    """A file of version 1 as one of today; refused where its sums were rounded."""
    schema = plain.get("schema")
    if isinstance(schema, dict):
        unit = schema.pop("unit", None)
        if schema.get("task") == "regression":
            raise InputError(ROUNDED.format(path=where, what="errors", unit=unit))
        if schema.get("weighted"):
            raise InputError(ROUNDED.format(path=where, what="weights", unit="2^-20"))
        schema["place"] = 0
    return json.dumps(plain | {"version": VERSION}).encode()


def _checksum(content: dict[str, Any]) -> str:
    """Of the content whatever its spacing and the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _parsed(data: bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(NOT_COUNTS.format(path=where, why="no UTF-8 text")) from error
    except (ValueError, RecursionError) as error:
        raise InputError(NOT_COUNTS.format(path=where, why=f"no JSON: {error}")) from error
    if not isinstance(content, dict):
        raise InputError(NOT_COUNTS.format(path=where, why="no JSON object"))
    return content
