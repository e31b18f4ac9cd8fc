"""What a machine keeps in memory, and what it lets go."""

from __future__ import annotations

from fairfed.sites.memory import Memory


def test_a_value_is_made_once() -> None:
    memory, made = Memory(), list[str]()

    def make() -> str:
        made.append("x")
        return "value"

    assert [memory.get("key", make, len) for _ in range(3)] == ["value"] * 3
    assert made == ["x"]


def test_the_oldest_goes_first_and_the_last_stays_whatever_its_size() -> None:
    memory = Memory(10)
    for key, size in (("a", 4), ("b", 4), ("c", 4)):
        memory.get(key, lambda size=size: "v" * size, len)
    assert memory.keys == ["b", "c"]
    memory.get("large", lambda: "v" * 99, len)
    assert memory.keys == ["large"]


def test_what_is_chosen_is_forgotten() -> None:
    memory = Memory()
    for key in ("a1", "a2", "b1"):
        memory.get(key, lambda: 0, lambda _: 1)
    memory.forget(lambda key: str(key).startswith("a"))
    assert memory.keys == ["b1"]
