"""Which labels are one vocabulary, which class is the positive one, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.audit.counts_file import merge_counts, write_counts
from evaluation.audit.labels import implied_positive, ordered_classes
from evaluation.audit.options import AuditOptions
from evaluation.audit.read import ReadSettings, tally_arrays, tally_files
from evaluation.audit.run import audit
from evaluation.audit.tally import Tally
from evaluation.audit.vocabulary import unrelated
from evaluation.errors import InputError

QUICK = AuditOptions(replicates=0, min_group=1)


def refused(truth: Any, predicted: Any, **settings: Any) -> str:
    with pytest.raises(InputError) as error:
        tally_arrays(truth, predicted, **settings)
    return str(error.value)


@pytest.mark.parametrize(
    ("truth", "predicted", "said"),
    [
        ([1, 0, 1, 0], ["yes", "no", "no", "no"], "only 0 of them occur both"),
        (["yes."] + ["yes", "no"] * 9, ["yes"] + ["yes", "no"] * 9, "'yes.' (1 true, 0 predicted"),
        (["yes", "no", "no"], ["yes", "no", "abstain"], "'abstain' (0 true, 1 predicted"),
        ([0, 1, 0, 1], [0.2, 0.9, 0.4, 0.6], "scores are named with --score"),
        (list("abcd"), list("abce"), "each have some that the other lacks"),
        ([*"abcA"], [*"abcA"], "'A' and 'a' may be one"),
        ([1, 2, 3, "unknown"], [1, 2, 3, "unknown"], "some are numbers and some are words"),
        ([0, 1, "no", "yes"], [0, 1, "no", "yes"], "some are numbers and some are words"),
        (
            ["no", "yes", "positive", "negative"],
            ["no", "yes", "positive", "negative"],
            "some say the same in other words",
        ),
    ],
)
def test_labels_that_make_a_binary_audit_one_of_many_classes_are_refused(
    truth: list[Any], predicted: list[Any], said: str
) -> None:
    message = refused(truth, predicted)
    assert said in message
    assert "with --classes" in message
    names = {str(name) for name in (*truth, *predicted)}
    stated = tally_arrays(truth, predicted, classes=tuple(names))
    assert set(stated.schema.classes) == names


@pytest.mark.parametrize("predicted", [[*"abcdabcd"], [*"abcaabca"], [*"abceabca"]])
def test_many_classes_that_truth_and_prediction_share_need_not_be_stated(
    predicted: list[str],
) -> None:
    truth = [*"abcabcab"] if "e" in predicted else [*"abcdabcd"]
    assert tally_arrays(truth, predicted).schema.classes == tuple(sorted({*truth, *predicted}))


def test_classes_that_one_side_lacks_are_said() -> None:
    truth, predicted = [*"abcdabcd"], [*"abcaabcb"]
    (said,) = audit(tally_arrays(truth, predicted, ["x"] * 8), QUICK).notes[:1]
    assert said.startswith("Never predicted, and in the averages over classes all the same: 'd'")
    (said,) = audit(tally_arrays(predicted, truth, ["x"] * 8), QUICK).notes[:1]
    assert said.startswith("Predicted and never true, and")
    alike = audit(tally_arrays(truth, truth, ["x"] * 8), QUICK)
    assert not any("averages over classes" in note for note in alike.notes)


def test_the_same_numbers_are_one_vocabulary_however_they_are_written() -> None:
    tally = tally_arrays(["+1", "-1", "+1", "-1.0"], [1, -1, -1.0, "-1"])
    assert tally.schema.classes == ("-1", "1")
    assert tally.counts([]).values.tolist() == [[[2, 0], [1, 1]]]


def test_files_with_other_words_are_refused_and_parts_of_the_same_are_not(tmp_path: Path) -> None:
    for name, labels in (("a", (0, 1)), ("b", ("no", "yes"))):
        table = pd.DataFrame({"y": labels, "p": labels, "g": "f"})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    how = ReadSettings("y", "p", sensitive=("g",))
    with pytest.raises(InputError, match=r"'no' \(1 true, 1 predicted; first: .*b\.csv row 1"):
        tally_files([tmp_path], how)
    letters = tmp_path / "letters"
    letters.mkdir()
    for name, own in (("a", [*"abc"]), ("b", [*"def"])):
        pd.DataFrame({"y": own, "p": own, "g": "f"}).to_csv(letters / f"{name}.csv", index=False)
    with pytest.raises(InputError, match="files or clients have none in common"):
        tally_files([letters], how)
    pd.DataFrame({"y": ["c"], "p": ["d"], "g": "f"}).to_csv(letters / "c.csv", index=False)
    assert tally_files([letters], how).schema.classes == tuple("abcdef")


def test_clients_with_other_words_are_refused() -> None:
    truth, site = [*"abcdefabcdef"], [0, 0, 0, 1, 1, 1] * 2
    assert "files or clients have none in common" in refused(truth, truth, client=site)
    assert tally_arrays(truth, truth).schema.classes == tuple("abcdef")


@given(st.lists(st.frozensets(st.integers(0, 6)), max_size=6))
def test_parts_are_related_where_steps_of_shared_labels_reach_every_label(
    parts: list[frozenset[int]],
) -> None:
    named = [frozenset(map(str, part)) for part in parts]
    reached = set(next(filter(None, named), frozenset()))
    for _ in named:
        reached |= {name for part in named if part & reached for name in part}
    assert unrelated(named) == (reached != set().union(*named))


def test_counts_of_sites_with_other_words_do_not_merge(tmp_path: Path) -> None:
    for name, labels in (("a", [0, 1]), ("b", ["no", "yes"])):
        write_counts(tmp_path / name, tally_arrays(labels, labels))
    with pytest.raises(InputError, match=r"4 labels.*'no' \(.*/b\).*--classes at each site"):
        merge_counts([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize("column", ["truth", "predicted"])
def test_values_that_are_no_labels_are_refused_in_the_first_rows(column: str) -> None:
    values = np.random.default_rng(0).random(200_000)
    labels = (values > 0.5).astype(int)
    given = {"truth": labels, "predicted": labels} | {column: values}
    message = refused(given["truth"], given["predicted"])
    assert all(word in message for word in ("holds more than", "--score", "regression"))


def test_many_labels_need_to_be_stated() -> None:
    labels = np.arange(101)
    assert "more than 100 different labels" in refused(labels, labels)
    assert len(tally_arrays(labels, labels, classes=tuple(range(101))).schema.classes) == 101
    assert len(tally_arrays(labels[1:], labels[1:]).schema.classes) == 100
    marks = np.arange(11) + 0.5
    assert "more than 10 different fractions" in refused(marks, marks)


@pytest.mark.parametrize(
    ("names", "positive"),
    [
        (("2", "10"), "10"),
        (("-1", "1"), "1"),
        (("yes", "no"), "yes"),
        (("Negative", "POSITIVE"), "POSITIVE"),
        (("hired", "not hired"), "hired"),
        (("non-toxic", "Toxic"), "Toxic"),
        (("0", "yes"), None),
        (("hired", "rejected"), None),
        (("yes",), None),
    ],
)
def test_of_two_classes_the_names_say_which_is_positive(
    names: tuple[str, ...], positive: str | None
) -> None:
    assert implied_positive(names) == implied_positive(names[::-1]) == positive
    if positive is not None:
        assert ordered_classes(names, None)[-1] == positive
        assert ordered_classes(names, names[0])[-1] == names[0]


@given(st.lists(st.integers(-1000, 1000), unique=True))
def test_numbers_are_in_their_own_order(numbers: list[int]) -> None:
    assert ordered_classes(map(str, numbers), None) == tuple(map(str, sorted(numbers)))


def test_words_that_do_not_say_it_are_asked_about() -> None:
    tally = tally_arrays(["cat", "dog", "dog"], ["cat", "cat", "dog"], ["a", "b", "b"])
    said = r"positive one, 'cat' \(1 true, 2 predicted\), or 'dog' \(2 true, 1 predicted\).*--pos"
    with pytest.raises(InputError, match=said):
        audit(tally, QUICK)
    alike = AuditOptions(metrics=("accuracy",), depth=0, replicates=0, min_group=1)
    assert audit(tally, alike).comparisons[0].gap("accuracy_difference").estimate.value == 0.5


WORDS: tuple[tuple[Any, Any], ...] = (
    (0, 1), (-1, 1), (2, 10), (0.0, 1.0), (False, True), ("no", "yes"), ("False", "True"),
    ("not hired", "hired"), ("negative", "positive"),
)  # fmt: skip
FORMS: tuple[Any, ...] = (
    list, np.array, pd.Series, pd.Categorical, lambda own: pd.Series(own, dtype=object),
    lambda own: np.array(own)[:, None],
)  # fmt: skip


def counted(rows: list[tuple[int, int, int]], pair: tuple[Any, Any], form: Any) -> Tally:
    truth, predicted, group = zip(*rows, strict=True)
    values = [form([pair[i] for i in own]) for own in (truth, predicted)]
    return tally_arrays(*values, list(group), classes=pair)


@settings(deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 1)] * 3), min_size=1, max_size=12),
    st.sampled_from(WORDS),
    st.sampled_from(FORMS),
    st.randoms(),
)
def test_the_counts_do_not_depend_on_words_types_or_order(
    rows: list[tuple[int, int, int]], pair: tuple[Any, Any], form: Any, random: Any
) -> None:
    base = counted(rows, (0, 1), list)
    mixed = random.sample(rows, len(rows))
    other = counted(mixed, pair, form)
    assert np.array_equal(base.counts(["group"]).values, other.counts(["group"]).values)
