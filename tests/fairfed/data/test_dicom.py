"""DICOM files, and tables that name image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairfed.config import parse_config
from fairfed.data import ImageTable, load_images
from semantic.errors import InputError
from tests.fairfed.data.folders import configure, noise, noises, write

pydicom = pytest.importorskip("pydicom", reason="the extra 'dicom' is not installed")


def _write(path: Path, values: np.ndarray, **fields: object) -> None:
    """A CT image whose stored values are 1000 above their Hounsfield units."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    found = pydicom.Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = CTImageStorage
    found.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    found.SOPClassUID, found.PatientName = CTImageStorage, "Doe^Jane"
    found.Rows, found.Columns = values.shape[:2]
    found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
    found.BitsAllocated = found.BitsStored = 16
    found.HighBit, found.PixelRepresentation = 15, 0
    found.RescaleSlope, found.RescaleIntercept = 1, -1000
    found.PixelData = values.astype("<u2").tobytes()
    for name, value in fields.items():
        setattr(found, name, value)
    found.save_as(path, enforce_file_format=True)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Six scans, two of them with black for the largest value, two of two frames."""
    for row in range(6):
        folder = tmp_path / ("train", "test")[row % 3 == 2] / "ab"[row % 2]
        folder.mkdir(parents=True, exist_ok=True)
        values = noise(row).astype(np.uint16) * 8
        if row < 2:
            _write(folder / f"{row}.dcm", 2040 - values, PhotometricInterpretation="MONOCHROME1")
        elif row < 4:
            _write(folder / f"{row}.DCM", np.concatenate([values, values[::-1]]), NumberOfFrames=2,
                   Rows=8)  # fmt: skip
        else:
            _write(folder / f"{row}", values)
            (folder / f"{row}").rename(folder / f"{row}.png")  # known by what is in it
    return tmp_path


def _in_order(table: ImageTable) -> list[np.ndarray]:
    return sorted((image[..., 0] for image in np.asarray(table.images)), key=np.ndarray.tobytes)


def test_scans_are_read_in_their_own_unit_through_one_window(
    scans: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = load_images(configure(scans, "data.window = [-1000, 1040]"))
    expected = sorted((noise(row) for row in range(6)), key=np.ndarray.tobytes)
    for found, wanted in zip(_in_order(table), expected, strict=True):
        assert np.abs(found.astype(int) - wanted).max() <= 1
    assert "6 of 6 images have more than 8 bits; values from -1000 to 1040" in caplog.text
    assert "Doe" not in caplog.text


def test_what_is_no_scan_is_said(scans: Path) -> None:
    bad = next(scans.glob("train/*/*.dcm"))
    bad.write_bytes(bad.read_bytes()[:300])
    with pytest.raises(InputError, match="not a readable DICOM image"):
        load_images(configure(scans))


def test_a_table_anywhere_names_its_images(tmp_path: Path) -> None:
    folder = write(tmp_path / "images", noises(6), ["a", "b"])
    text = (folder / "metadata.csv").read_text().replace("file_name", "scan")
    rows = [line if line.startswith("scan") else f"images/{line}" for line in text.splitlines()]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    how = f'data = {{ source = "{tmp_path}/list.csv", sensitive = [], image_size = 8'
    table = load_images(parse_config(f'{how}, kind = "images", image_column = "scan" }}', "x"))
    assert np.array_equal(table.images, load_images(configure(folder)).images)
    with pytest.raises(InputError, match="no column 'file_name'; there are: scan, label, split"):
        load_images(parse_config(f'{how}, kind = "images" }}', "x"))
