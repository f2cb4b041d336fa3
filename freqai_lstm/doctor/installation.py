"""Checks what is installed: versions, the device, and the files of the user directory."""

import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch

from freqai_lstm import __version__
from freqai_lstm.compatibility import TESTED, untested
from freqai_lstm.doctor.finding import Finding
from freqai_lstm.install.copying import State, copies
from freqai_lstm.install.shipped import DROP_INS, shipped_files


def check_versions() -> Iterator[Finding]:
    """Report the versions that matter."""
    yield Finding("python", platform.python_version())
    yield Finding("freqai-lstm", __version__)
    yield Finding("torch", version("torch"))
    problems = untested()
    for name in TESTED:
        yield Finding(name, version(name), problems.get(name, ""))


def check_device(requested: str) -> Finding:
    """Report where networks are trained.

    :param requested: ``trainer_kwargs.device``.
    """
    available = [
        name
        for name, present in {
            "cuda": torch.cuda.is_available(),
            "mps": torch.backends.mps.is_available(),
            "cpu": True,
        }.items()
        if present
    ]
    device = available[0] if requested == "auto" else requested
    if device not in available:
        return Finding(
            "device",
            device,
            f"freqai.model_training_parameters.trainer_kwargs.device: must be one of "
            f"{', '.join(available)} with this torch and machine, was {requested!r}",
        )
    name = f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device
    return Finding("device", f"{name}, asked for {requested}")


def check_user_directory(folder: Path) -> Iterator[Finding]:
    """Report the drop-ins of a user directory; a changed one is somebody's own and no problem.

    :param folder: freqtrade's user directory.
    """
    drop_ins = {place: file for place, file in shipped_files().items() if str(place) in DROP_INS}
    for copy in copies(drop_ins, folder):
        problem = (
            f"{copy.target}: must be there, was missing; freqai-lstm install --userdir {folder}"
            if copy.state is State.MISSING
            else ""
        )
        found = {State.SAME: "as shipped", State.CHANGED: "changed", State.MISSING: "missing"}
        yield Finding(copy.target.name, found[copy.state], problem)
