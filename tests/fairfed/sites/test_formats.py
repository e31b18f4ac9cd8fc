"""A model in ONNX and in PyTorch's export gives the logits that it gives here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fairfed.config import Config
from fairfed.sites.formats import write_as
from fairfed.sites.packaged import load_model
from fairfed.systems.classifier.exporting import export_run
from semantic.errors import InputError


def _images(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_logits_are_the_same_in_every_format(finished_small: Config, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")
    run, formats = finished_small.run_directory, ("onnx", "torch-export")
    export_run(run, tmp_path, "Both", formats=formats)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "README.md", "model.json", "model.onnx", "model.pt2", "model.safetensors"
    ]  # fmt: skip
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    program = torch.export.load(tmp_path / "model.pt2").module()
    for n in (1, 5):
        with torch.no_grad():
            wanted = load_model(tmp_path)(_images(n)).numpy()
        (found,) = session.run(["logits"], {"inputs": _images(n).numpy()})
        assert np.allclose(found, wanted, atol=1e-4)
        assert np.allclose(program(_images(n)).detach().numpy(), wanted, atol=1e-5)


def test_an_unknown_format_is_refused(finished_small: Config, tmp_path: Path) -> None:
    export_run(finished_small.run_directory, tmp_path, "Both")
    with pytest.raises(InputError, match="choose one of onnx, torch-export"):
        write_as("pickle", load_model(tmp_path), tmp_path)
