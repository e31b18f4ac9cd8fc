"""What an augmentation tells whoever watches it."""

from __future__ import annotations

from typing import Any, Protocol

from evaluation.quality import QualityReport


class Watcher(Protocol):
    """Is told what happens, in this order."""

    def planned(self, plan: dict[str, Any]) -> None:
        """`plan.json` is written."""
        ...

    def began(self, step: str, images: int) -> None:
        """A step that handles about so many images begins."""
        ...

    def images_done(self, count: int, made: int = 0) -> None:
        """So many more images were made, found in the store, or judged; `made`: of them, now."""
        ...

    def ended(self, step: str, result: dict[str, Any]) -> None:
        """A step is done; `result` is what it wrote."""
        ...

    def assessed(self, report: QualityReport) -> None:
        """`quality.json` is written."""
        ...
