"""A packaged model in formats that others run without fairfed: ONNX, and PyTorch's own export."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import torch

from fairfed.data.tables import input_names
from fairfed.sites.packaged import PackagedModel
from generators.writing import explained
from semantic.errors import InputError
from semantic.files import written_whole

FORMATS = {"onnx": "model.onnx", "torch-export": "model.pt2"}
"""Formats, and the file of each."""
NEEDS = "--format onnx needs the packages onnx and onnxscript: pip install 'fairfed[onnx]'"
UNFIT = (
    "--format {kind}: model {model!r} cannot be written so ({why}); 'fairfed.load_model' and "
    "'fairfed predict' take it as it is"
)
EMBEDS = "its frozen CLIP has its own way to make pixels ready, outside of the network"


def write_as(kind: str, model: PackagedModel, folder: Path) -> Path:
    """Write a model's network; it takes what `model.preprocess` gives, any number of rows.

    Raises `InputError` if the format is unknown, a package is missing, or the network cannot be
    written so.
    """
    if kind not in FORMATS:
        raise InputError(f"--format {kind!r} is none; choose one of {', '.join(FORMATS)}")
    name = model.study.model
    if model.embeds:
        raise InputError(UNFIT.format(kind=kind, model=name, why=EMBEDS))
    labels = model.study.labels
    shape: tuple[int, ...] = (3, labels.image_size, labels.image_size)
    if labels.kind == "table":
        shape = (len(input_names(model.study.table)),)
    rows = {0: torch.export.Dim("rows", min=1)}
    path = folder / FORMATS[kind]
    write = _onnx if kind == "onnx" else torch.export.save
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how both exporters work inside
        try:
            program = torch.export.export(model, (torch.zeros(2, *shape),), dynamic_shapes=(rows,))
        except (RuntimeError, ValueError, TypeError) as error:
            why = str(error).strip().splitlines()[0]
            raise InputError(UNFIT.format(kind=kind, model=name, why=why)) from error
        with explained(folder), written_whole(path) as draft:
            write(program, draft)
    return path


def _onnx(program: Any, path: Path) -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(NEEDS) from error
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        torch.onnx.export(
            program, f=str(path), input_names=["inputs"], output_names=["logits"], dynamo=True,
            external_data=False, verbose=False,
        )  # fmt: skip
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
