"""Files of counts: what goes in comes out, parts make the whole, damage is named."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.audit.counts_file import (
    _checksum,
    merge_counts,
    read_counts,
    read_counts_file,
    write_counts,
    write_merged,
)
from evaluation.audit.options import AuditOptions
from evaluation.audit.read import tally_arrays
from evaluation.audit.release import Release
from evaluation.audit.run import audit
from evaluation.audit.schema import Axis, Schema, cut_levels
from evaluation.audit.sparse import SparseCounts
from evaluation.audit.tally import Tally
from evaluation.errors import InputError

AGES = Axis("age", cut_levels((25, 45)), (25.0, 45.0))
Rows = list[tuple[str, str, int, int, int, int]]


def _tally(rows: Rows) -> Tally:
    """Counts of rows (client, race, age level, true, predicted, bin), from the names they hold."""
    clients = tuple(sorted({row[0] for row in rows})) or ("all",)
    races = tuple(sorted({row[1] for row in rows})) or ("a",)
    schema = Schema(
        "classification", ("no", "yes"), (Axis("race", races), AGES), clients, "yes", bins=4,
        columns=(("truth", "y"),),
    )  # fmt: skip
    lead = schema.group_shape
    index = [
        np.array([clients.index(r[0]) for r in rows], int),
        np.array([races.index(r[1]) for r in rows], int),
        np.array([r[2] for r in rows], int),
    ]
    true, predicted, bins = (np.array([r[k] for r in rows], int) for k in (3, 4, 5))
    ones = np.ones((len(rows), 1), np.int64)

    def collect(shape: tuple[int, ...], *rest: Any) -> SparseCounts:
        return SparseCounts.collect(
            shape, np.ravel_multi_index((*index, *rest), shape).astype(np.int64), ones
        )

    return Tally(
        schema,
        collect((*lead, 2, 2), true, predicted),
        collect((*lead, 1, 2, 4), np.zeros_like(true), true, bins),
    )


def same_tally(a: Tally, b: Tally) -> bool:
    """Whether schema and all counts agree, bit for bit."""

    def plain(tally: Tally) -> list[Any]:
        parts = (tally.confusion, tally.scores, tally.errors)
        return [p and (p.shape, p.keys.tolist(), p.values.tolist()) for p in parts]

    return a.schema == b.schema and plain(a) == plain(b)


ROWS: Rows = [("a", "x", 0, 0, 1, 2), ("a", "x", 0, 0, 1, 2), ("b", "z", 2, 1, 1, 3)]
ROW = st.tuples(
    st.sampled_from("abc"), st.sampled_from("xyzß"), st.integers(0, 2), st.integers(0, 1),
    st.integers(0, 1), st.integers(0, 3),
)  # fmt: skip


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path, tally = tmp_path / "deep" / "site.counts", _tally(ROWS)
    release = Release(min_cell=2, dropped_cells=2, dropped_rows=2)
    write_counts(path, tally, release)
    found = read_counts_file(path)
    assert same_tally(found.tally, tally)
    assert found.releases == (release,)
    assert [file.name for file in path.parent.iterdir()] == ["site.counts"]
    content = json.loads(path.read_text())
    assert content["confusion"]["values"] == [[2], [1]]
    first = path.read_bytes()
    write_counts(path, _tally(ROWS[::-1]), release)
    assert path.read_bytes() == first


def test_weights_and_errors_survive(tmp_path: Path) -> None:
    schema = Schema("regression", (), (Axis("race", ("x", "y")),), place=-1)
    errors = SparseCounts((1, 2), np.array([1]), np.array([[3, -4, 4, 6]], object))
    write_counts(tmp_path / "r", Tally(schema, errors=errors))
    assert same_tally(read_counts(tmp_path / "r"), Tally(schema, errors=errors))
    schema = Schema("classification", ("a", "b"), (), weighted=True, place=-36)
    sums = np.array([[1, 2, 4], [4, 2**2100, 2**4198 + 1]], object)
    confusion = SparseCounts((1, 2, 2), np.array([0, 3]), sums)
    write_counts(tmp_path / "w", Tally(schema, confusion))
    assert same_tally(read_counts(tmp_path / "w"), Tally(schema, confusion))


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=30), cut=st.data())
def test_any_split_of_the_rows_merges_to_the_whole(
    rows: Rows, cut: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("split")
    places = cut.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
    parts = [[row for row, at in zip(rows, places, strict=True) if at == i] for i in range(3)]
    # Different parts may hold equal rows; a name tells such sites apart as `--site` does.
    named = [[(f"{i}", *row[1:]) for row in part] for i, part in enumerate(parts) if part]
    paths = []
    for i, part in enumerate(named):
        write_counts(folder / f"{i}", _tally(part))
        paths.append(folder / f"{i}")
    whole = _tally([row for part in named for row in part])
    forward, backward = merge_counts(paths), merge_counts(paths[::-1])
    assert same_tally(forward.tally, whole)
    assert same_tally(backward.tally, whole)
    write_merged(folder / "forward", forward)
    write_merged(folder / "backward", backward)
    assert (folder / "forward").read_bytes() == (folder / "backward").read_bytes()
    write_counts(folder / "whole", whole)
    merged, pooled = (json.loads((folder / n).read_text()) for n in ("forward", "whole"))
    for part in ("schema", "confusion", "scores", "errors"):
        assert merged[part] == pooled[part]


def test_merging_in_steps_equals_merging_at_once_and_finds_doubles(tmp_path: Path) -> None:
    a, b, c = (tmp_path / name for name in "abc")
    for path in (a, b, c):
        write_counts(path, _tally([(path.name, "x", 0, 1, 1, 3)]))
    write_merged(tmp_path / "ab", merge_counts([a, b]))
    stepwise = merge_counts([tmp_path / "ab", c])
    assert same_tally(stepwise.tally, merge_counts([a, b, c]).tally)
    assert len(stepwise.releases) == 3
    for doubled in ([a, a], [tmp_path / "ab", b], [c, tmp_path / "ab", a]):
        with pytest.raises(InputError, match="holds the same counts as"):
            merge_counts(doubled)


def test_counts_of_other_settings_are_refused_by_file(tmp_path: Path) -> None:
    tally = _tally(ROWS)
    other = Tally(
        replace(tally.schema, axes=(tally.schema.axes[0], Axis("age", cut_levels((30,)), (30.0,)))),
        SparseCounts((2, 2, 2, 2, 2), np.array([0]), np.array([[1]])),
        SparseCounts((2, 2, 2, 1, 2, 4), np.array([0]), np.array([[1]])),
    )
    write_counts(tmp_path / "a", tally)
    write_counts(tmp_path / "b", other)
    with pytest.raises(InputError, match=r"b: counts do not fit together: cut points of 'age'"):
        merge_counts([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(InputError, match="no file of counts"):
        merge_counts([])


def _changed(path: Path, change: Any) -> None:
    """Change a file's content and give it the checksum of what it then says."""
    content = json.loads(path.read_text())
    del content["checksum"]
    change(content)
    content["checksum"] = _checksum(content)
    path.write_text(json.dumps(content))


def _set(*keys: Any) -> Any:
    *where, last, value = keys

    def change(content: Any) -> None:
        for key in where:
            content = content[key]
        content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("version", 99), "is of version 99"),
        (_set("format", "other"), "no file of counts"),
        (_set("confusion", "values", 0, [-1]), "negative though no noise"),
        (_set("confusion", "values", 0, [1, 2]), "expected 1 values"),
        (_set("confusion", "values", 0, [2**70]), "larger than"),
        (_set("confusion", "values", 0, [1.5]), "integer"),
        (_set("confusion", "values", 0, [True]), "integer"),
        (_set("confusion", "keys", 0, -1), "outside"),
        (_set("confusion", "keys", [5, 5]), "do not increase"),
        (_set("confusion", None), "'confusion': missing"),
        (_set("errors", {"keys": [], "values": []}), "'errors': given"),
        (_set("extra", 1), "'extra'"),
        (_set("releases", []), "'releases'"),
        (_set("schema", "axes", 0, "levels", ["z", "x"]), "not in order"),
        (_set("schema", "axes", 1, "levels", ["young", "old"]), "not in order"),
        (_set("schema", "axes", 1, "cuts", []), "not in order|expected"),
        (_set("schema", "axes", 0, "levels", ["x", "\ud800"]), "invalid json"),
        (_set("schema", "axes", 0, "name", "age"), "one name"),
        (_set("schema", "positive", "maybe"), "not among the classes"),
        (_set("schema", "place", 1), "place"),
        (_set("schema", "place", -37), "place"),
        (_set("schema", "unit", 1e-6), "'schema.unit'"),
        (_set("schema", "clients", []), "not in order"),
        (_set("schema", "clients", [str(i) for i in range(10)]), ""),
        (_set("schema", "bins", -1), "bins"),
        (_set("schema", "bins", None), "scores are not in bins"),
        (_set("schema", "task", "sorting"), "'schema.task'"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: Any, said: str) -> None:
    path = tmp_path / "site.counts"
    write_counts(path, _tally(ROWS))
    _changed(path, change)
    if said:
        with pytest.raises(InputError, match=said):
            read_counts(path)
    else:
        assert read_counts(path).n == 3


def test_noised_counts_may_be_negative(tmp_path: Path) -> None:
    tally = _tally(ROWS)
    assert tally.confusion is not None
    values = tally.confusion.values - 5
    noised = replace(tally, confusion=replace(tally.confusion, values=values))
    write_counts(tmp_path / "n", noised, Release("discrete laplace", epsilon=1.0))
    assert same_tally(read_counts(tmp_path / "n"), noised)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=40), at=st.floats(0, 1), remove=st.booleans())
def test_damage_is_an_input_error(
    data: bytes, at: float, remove: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damage") / "site.counts"
    write_counts(path, _tally(ROWS))
    whole = path.read_bytes()
    middle = int(at * len(whole))
    changed = whole[:middle] + data + (b"" if remove else whole[middle:])
    path.write_bytes(changed)
    with suppress(InputError):
        # Only what stands between the fields may change, such as spaces.
        assert same_tally(read_counts(path), _tally(ROWS))


def test_not_a_file_and_deep_nesting_are_input_errors(tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("[" * 100_000)
    for name in ("nowhere", "deep", "."):
        with pytest.raises(InputError):
            read_counts(tmp_path / name)


@settings(max_examples=4, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=60), cut=st.data())
def test_the_audit_of_merged_files_is_that_of_the_pooled_rows_to_the_last_digit(
    rows: Rows, cut: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("audits")
    sites = cut.draw(st.lists(st.sampled_from("pq"), min_size=len(rows), max_size=len(rows)))
    named = [(site, *row[1:]) for site, row in zip(sites, rows, strict=True)]
    for site in set(sites):
        write_counts(folder / f"{site}.counts", _tally([row for row in named if row[0] == site]))
    merged = merge_counts(cut.draw(st.permutations(sorted(folder.glob("*.counts"))))).tally
    options = AuditOptions(replicates=10, min_group=2, by=(("race",),))
    # A record's text holds every number in full, and NaN equals NaN there.
    assert repr(audit(merged, options)) == repr(audit(_tally(named), options))


def _as_first_version(path: Path, unit: float = 1e-6, **changes: Any) -> None:
    """Write a file as fairfed 0.1 did: with a unit in its schema."""

    def change(content: Any) -> None:
        del content["schema"]["place"]
        content["schema"] |= {"unit": unit} | changes
        content["version"] = 1

    _changed(path, change)


def test_counts_of_rows_of_the_first_version_are_read(tmp_path: Path) -> None:
    write_counts(tmp_path / "old", _tally(ROWS[:2]))
    write_counts(tmp_path / "new", _tally(ROWS[2:]))
    _as_first_version(tmp_path / "old")
    assert same_tally(read_counts(tmp_path / "old"), _tally(ROWS[:2]))
    merged = merge_counts([tmp_path / "old", tmp_path / "new"]).tally
    assert same_tally(merged, _tally(ROWS))


def test_rounded_sums_of_the_first_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "old"
    for changes, said in (
        ({"weighted": True}, "rounded weights to multiples of 2\\^-20"),
        ({"task": "regression"}, "rounded errors to multiples of 1e-06"),
    ):
        write_counts(path, _tally(ROWS))
        _as_first_version(path, **changes)
        with pytest.raises(InputError, match=f"{said}.*Count again"):
            read_counts(path)


@pytest.mark.parametrize(
    "sums",
    [
        [2, -3, 9],  # negative weights
        [2, 3, 10],  # squares above the square of the sum
        [2, 4, 7],  # squares below that of equal weights
        [2, 2**1061, 2**2122],  # beyond all floats
    ],
)
def test_sums_that_no_weights_have_are_refused(tmp_path: Path, sums: list[int]) -> None:
    schema = Schema("classification", ("a", "b"), (), weighted=True, place=-1)
    values = np.array([[2, 4, 10]], object)
    write_counts(tmp_path / "w", Tally(schema, SparseCounts((1, 2, 2), np.array([1]), values)))
    assert read_counts(tmp_path / "w").n == 2
    _changed(tmp_path / "w", _set("confusion", "values", [sums]))
    with pytest.raises(InputError, match="are not the sums of 2 numbers"):
        read_counts(tmp_path / "w")


def test_sums_of_other_fineness_merge_exactly(tmp_path: Path) -> None:
    """Each site has the digits that its own weights need."""
    sites = (["a", [3.0, 1e18]], ["b", [0.1, 1e-12]], ["c", [0.0, 0.0]])
    for name, weight in sites:
        write_counts(tmp_path / name, _sites_tally([weight], [name]))
    whole = _sites_tally([weight for _, weight in sites], [name for name, _ in sites])
    paths = [tmp_path / name for name, _ in sites]
    for order in (paths, paths[::-1]):
        assert same_tally(merge_counts(order).tally, whole)


def _sites_tally(weights: list[list[float]], names: list[str]) -> Tally:
    clients = [name for name in names for _ in range(2)]
    return tally_arrays(
        [0, 1] * len(names), [0, 1] * len(names), client=clients, positive=1,
        weight=[own for part in weights for own in part],
    )  # fmt: skip
