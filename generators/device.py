"""torch's device for a setting, refused in words where this machine has none of the kind."""

from __future__ import annotations

from semantic.errors import InputError

NO_DEVICE = (
    "{setting} is {name!r}, and torch finds {found} here; give 'auto' (a GPU where there is one) "
    "or 'cpu'"
)


def torch_device(name: str, setting: str) -> str:
    """Name of a device that is here; `auto` is CUDA where there is any, else the CPU.

    `setting` is what errors call it.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if count else "cpu"
    kind, _, number = name.partition(":")
    here = {"cuda": int(number or 0) < count, "mps": torch.backends.mps.is_available()}
    if here.get(kind, True):
        return name
    found = f"{count} CUDA device{'' if count == 1 else 's'}" if count else "no CUDA device"
    if kind == "mps":
        found = "no MPS device"
    raise InputError(NO_DEVICE.format(setting=setting, name=name, found=found))
