"""A watcher of augmentations that says nothing."""

from __future__ import annotations

from typing import Any

from evaluation.quality import QualityReport


class Silent:
    """Watches nothing."""

    def planned(self, plan: dict[str, Any]) -> None:
        """Say nothing."""

    def began(self, step: str, images: int) -> None:
        """Say nothing."""

    def images_done(self, count: int, made: int = 0) -> None:
        """Say nothing."""

    def ended(self, step: str, result: dict[str, Any]) -> None:
        """Say nothing."""

    def assessed(self, report: QualityReport) -> None:
        """Say nothing."""
