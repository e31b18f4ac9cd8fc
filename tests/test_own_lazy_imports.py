"""Our own modules are imported inside functions only where that keeps a heavy package out."""

from __future__ import annotations

from collections import Counter

from tests.imports import loaded_with, modules

HEAVY = {
    "torch", "flwr", "diffusers", "open_clip", "ray", "pandas",
    "numpy", "pydantic",  # which `fairfed --help` does without
}  # fmt: skip

KNOWN = {
    "evaluation": 1,
    "evaluation.audit.gaps": 1,
    "evaluation.audit.report": 1,
    "evaluation.compare_report": 1,
    "fairfed.auditing": 8,
    "fairfed.augmentation.audit": 3,
    "fairfed.augmentation.choice": 3,
    "fairfed.augmentation.job": 6,
    "fairfed.augmentation.quality": 3,
    "fairfed.augmentation.steps": 1,
    "fairfed.baselines.prototypes": 5,
    "fairfed.baselines.server_side": 11,
    "fairfed.baselines.zero_shot": 2,
    "fairfed.client": 4,
    "fairfed.data.fashion": 2,
    "fairfed.data.load": 3,
    "fairfed.data.originals": 2,
    "fairfed.experiment": 12,
    "fairfed.extension": 2,
    "fairfed.knowing": 1,
    "fairfed.local_training": 4,
    "fairfed.models.configured": 2,
    "fairfed.peers.outcome": 1,
    "fairfed.releases": 1,
    "fairfed.request": 1,
    "fairfed.server": 3,
    "fairfed.shared_space.outcome": 1,
    "fairfed.site": 7,
    "fairfed.strategies.build": 2,
    "fairfed.strategies.signals.risk": 1,
    "fairfed.tabular.fit": 1,
    "fairfed.zda.server": 1,
    "fairfed.zsl.outcome": 1,
}
"""How many each module still has of those that keep nothing out. To shrink: add nothing."""


def useless() -> dict[str, int]:
    """Imports of our own inside functions that load nothing heavy, or what is loaded already."""
    return dict(
        Counter(
            name
            for name, imports in modules().items()
            for _, own in imports.in_functions
            if not (loaded_with(own) - loaded_with(name)) & HEAVY
        )
    )


def test_imports_inside_functions_keep_something_heavy_out() -> None:
    more = {name: count for name, count in useless().items() if count > KNOWN.get(name, 0)}
    assert not more, "import these modules at the top"


def test_the_list_of_what_is_left_has_shrunk_with_it() -> None:
    found = useless()
    fewer = {name: found.get(name, 0) for name in KNOWN if found.get(name, 0) < KNOWN[name]}
    assert not fewer, "these are fewer than KNOWN says: lower the numbers there"
