"""Our own modules are imported inside functions only where that keeps a heavy package out."""

from __future__ import annotations

from tests.imports import loaded_with, modules

HEAVY = {
    "torch", "flwr", "diffusers", "open_clip", "ray", "pandas",
    "numpy", "pydantic",  # which `fairfed --help` does without
    "markupsafe",  # with jinja2, of the pages: reading and counting do without
}  # fmt: skip


def test_imports_inside_functions_keep_something_heavy_out() -> None:
    useless = [
        f"{name}, line {line}: {own}"
        for name, imports in modules().items()
        for line, own in sorted(imports.in_functions)
        if not (loaded_with(own) - loaded_with(name)) & HEAVY
    ]
    assert not useless, "import these modules at the top"
