"""Which settings differ, in words."""

from __future__ import annotations

from fairfed.config.differing import differing


def test_settings_are_named_with_both_values() -> None:
    before = 'rounds = 4\n[data]\nsource = "a"\n'
    after = 'rounds = 6\n[data]\nsource = "a"\nlabel = "kind"\n'
    assert (
        differing(before, after)
        == "rounds (4 there, 6 here), data.label (unset there, 'kind' here)"
    )
    assert differing(before, before) == ""


def test_many_are_counted_and_long_ones_cut() -> None:
    before = "".join(f"s{i} = {i}\n" for i in range(6))
    after = "".join(f"s{i} = '{'x' * 50}'\n" for i in range(6))
    said = differing(before, after)
    assert said.endswith(", 3 more")
    assert "x" * 36 in said
    assert "x" * 37 not in said
