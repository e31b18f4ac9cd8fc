"""DICOM files as images: values in their own unit, the first frame, dark where little was measured.

Grey values are after the modality's rescaling (CT: Hounsfield units), and become black and white by
the one window of all files (`data.window`), not by what each file proposes for a screen. Names,
dates and all other fields are not read.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from semantic.errors import InputError

MARK, AT = b"DICM", 128
NEEDS = "a DICOM file, which needs the package pydicom: pip install 'fairfed[dicom]'"


def is_dicom(content: Path | bytes) -> bool:
    """Whether a file, or its bytes, says that it is one."""
    if isinstance(content, bytes):
        return content[AT : AT + len(MARK)] == MARK
    with content.open("rb") as file:
        file.seek(AT)
        return file.read(len(MARK)) == MARK


def read_dicom(content: Path | bytes) -> Image.Image:
    """The image of a DICOM file: in colour of 8 bits, or grey of float32.

    Raises `InputError` without pydicom, or if it cannot decode the pixels.
    """
    try:
        from pydicom import dcmread
        from pydicom.pixels.processing import apply_rescale
        from pydicom.pixels.utils import pixel_array
    except ModuleNotFoundError as error:
        raise InputError(NEEDS) from error
    try:
        found = dcmread(io.BytesIO(content) if isinstance(content, bytes) else content)
        frames = int(getattr(found, "NumberOfFrames", 1) or 1)
        pixels: Any = pixel_array(found, index=0) if frames > 1 else pixel_array(found)
        if pixels.ndim == 3:
            return Image.fromarray(pixels.astype(np.uint8))
        values = np.asarray(apply_rescale(pixels, found), np.float32)
    except Exception as error:  # pydicom's plug-ins raise what they like
        raise InputError(f"not a readable DICOM image ({error})") from error
    if found.PhotometricInterpretation == "MONOCHROME1":  # the largest value is black
        values = values.max() + values.min() - values
    return Image.fromarray(values)
