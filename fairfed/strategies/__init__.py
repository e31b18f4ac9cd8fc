"""How the server weighs and merges what clients send."""

from __future__ import annotations

import fairfed.engines  # noqa: F401  (sets Flower's environment before Flower is imported)
