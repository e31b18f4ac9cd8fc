"""A site's own names become the federation's, by their names alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairfed.config.labels import LabelSpace
from fairfed.config.site import SiteData
from fairfed.sites.local_data import Columns, map_rows
from fairfed.sites.mapping import Names, rename
from semantic.errors import InputError

LABELS = LabelSpace(
    classes=("nevus", "melanoma", "7"),
    sensitive={"sex": ("female", "male"), "skin": ("light", "dark")},
)
DATA = SiteData(
    source="x",
    label="dx",
    sensitive={"sex": "gender"},
    labels={"MEL": "melanoma", "L82.1": "7", "3": "nevus", "other": ""},
    groups={"sex": {"w": "female", "m": "male", "d": ""}},
)
ROWS = [("MEL", "w"), ("nevus", "m"), ("L82.1", None), ("other", "x"), ("3", "d"), ("3.0", "male")]


def mapped(rows: list[tuple[str | None, str | None]], data: SiteData = DATA):  # noqa: ANN201
    classes, gender = zip(*rows, strict=True)
    columns = Columns("t.csv", len(rows), [*range(len(rows))], [*classes], {"sex": [*gender]})
    return map_rows(columns, data, LABELS)


def test_names_codes_and_numbers_become_positions_and_left_out_rows_are_not_looked_at() -> None:
    found = mapped(ROWS)
    assert found.kept.tolist() == [True, True, True, False, True, True]
    assert found.labels.tolist() == [1, 0, 2, 0, 0]
    assert [LABELS.groups[g] for g in found.groups] == [
        "female × missing", "male × missing", "missing × missing", "missing × missing",
        "male × missing",
    ]  # fmt: skip
    assert found.renamed["labels"].emptied == {"other": 1}
    assert found.renamed["groups.sex"].emptied == {"d": 1}


def test_an_unknown_label_is_an_error_that_writes_the_line_of_site_toml() -> None:
    rows = [("nevus", "w"), ("Melanom", "w"), ("zzz", "w"), ("Melanom", "m")]
    with pytest.raises(InputError) as error:
        mapped(rows)
    assert str(error.value) == (
        "t.csv: column 'dx' has values that the federation does not know:\n"
        "  'Melanom' in 2 rows (the first is row 2); did you mean 'melanoma'?\n"
        "  'zzz' in 1 row (the first is row 3)\n"
        "It knows nevus, melanoma, 7. Write in [data] of site.toml\n"
        '  labels = { "Melanom" = "melanoma", "zzz" = "…" }\n'
        'where "" leaves the rows out; or unknown = "drop" for all that are not named'
    )


def test_an_unknown_sensitive_value_is_an_error_or_missing() -> None:
    with pytest.raises(InputError, match=r'groups\.sex = \{ "femal" = "female" \}'):
        mapped([("nevus", "femal")])
    lenient = DATA.model_copy(update={"unknown_groups": "missing"})
    found = mapped([("nevus", "femal")], lenient)
    assert [LABELS.groups[g] for g in found.groups] == ["missing × missing"]
    assert found.renamed["groups.sex"].unknown == {"femal": 1}


def test_a_row_without_a_label_is_an_error_or_dropped() -> None:
    with pytest.raises(InputError, match=r"row 2 has no dx; fill it in, or write unknown = "):
        mapped([("nevus", "w"), (None, "w")])
    lenient = DATA.model_copy(update={"unknown": "drop"})
    found = mapped([("nevus", "w"), (None, "w"), ("zzz", "m")], lenient)
    assert found.kept.tolist() == [True, False, False]
    assert found.renamed["labels"].unknown == {"no value": 1, "zzz": 1}
    with pytest.raises(InputError, match="no row has a label that the federation knows"):
        mapped([("zzz", "m")], lenient)


def test_a_target_that_the_federation_lacks_is_refused_with_the_near_one() -> None:
    wrong = DATA.model_copy(update={"labels": {"MEL": "melanom"}})
    with pytest.raises(InputError, match=r"'MEL' becomes 'melanom'.*did you mean 'melanoma'\?"):
        mapped([("MEL", "w")], wrong)


def test_names_that_no_row_has_are_told() -> None:
    found = mapped([("MEL", "w")])
    assert found.renamed["labels"].unused == ("L82.1", "3", "other")
    assert mapped(ROWS).renamed["labels"].unused == ()


def test_a_name_of_the_site_counts_before_the_federations() -> None:
    """One site's `7` may be another thing than the federation's."""
    own = Names("labels", "dx", {"7": "nevus"}, LABELS.classes, "", "")
    assert rename(["7", "7.0", "melanoma"], own, "t", range(3), strict=True).values == [
        "nevus", "nevus", "melanoma",
    ]  # fmt: skip


rows = st.lists(
    st.tuples(
        st.sampled_from(["MEL", "nevus", "L82.1", "other", "3", "zzz", None]),
        st.sampled_from(["w", "m", "d", "female", "?", None]),
    ),
    min_size=1,
    max_size=30,
)


@given(rows, st.randoms(use_true_random=False))
def test_a_row_is_mapped_alike_whatever_stands_around_it(rows, random) -> None:  # noqa: ANN001
    """Order of rows and of the entries in site.toml change nothing, and nothing gets lost."""
    rows = [*rows, ("nevus", "w")]
    entries = list(DATA.labels.items())
    random.shuffle(entries)
    lenient = DATA.model_copy(
        update={"unknown": "drop", "unknown_groups": "missing", "labels": dict(entries)}
    )
    found = mapped(rows, lenient)
    order = list(range(len(rows)))
    random.shuffle(order)
    again = mapped([rows[place] for place in order], lenient)

    def by_row(one, places: list[int]) -> dict[int, tuple[int, int]]:  # noqa: ANN001
        kept = [place for place, kept in zip(places, one.kept, strict=True) if kept]
        return {p: (c, g) for p, c, g in zip(kept, one.labels, one.groups, strict=True)}

    assert by_row(found, list(range(len(rows)))) == by_row(again, order)
    alone = {row: mapped([row, ("nevus", "w")], lenient) for row in set(rows)}
    for place, (label, group) in by_row(found, list(range(len(rows)))).items():
        one = alone[rows[place]]
        assert (one.labels[0], one.groups[0]) == (label, group)
    lost = found.renamed["labels"]
    assert found.kept.sum() + lost.emptied.total() + lost.unknown.total() == len(rows)
    assert np.isin(found.groups, range(len(LABELS.groups))).all()
