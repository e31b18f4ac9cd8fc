"""Arrays by what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
"""0 to 255; ``[…, H, W, 3]`` where nothing else is said."""
Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class ImageRows(Protocol):
    """Images ``[n, H, W, 3]``: an array, or whatever gives arrays when it is indexed."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...
