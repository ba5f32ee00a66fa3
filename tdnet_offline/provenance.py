"""Origin of a result: machine, versions and commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from tdnet._util.regular_files import sha256
from tdnet._util.resources import packaged_weights
from tdnet.version import __version__


def hardware() -> str:
    """Return processor, cores and GPUs in one line."""
    import torch

    parts = [processor(), f"{os.cpu_count()} logical cores"]
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    parts += [f"{names.count(name)} x {name}" for name in sorted(set(names))] or ["no GPU"]
    return ", ".join(parts)


def versions() -> dict[str, str]:
    """Return the versions of Python, torch and tdnet, by name."""
    import torch

    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "tdnet": __version__,
    }


def origin() -> dict[str, Any]:
    """Return hardware, versions and commit, by the names of these functions."""
    return {"hardware": hardware(), "versions": versions(), "git_commit": git_commit()}


def weights_sha256(weights: str | Path | None, variant: str) -> str:
    """Return the SHA-256 of a weights file, or of the description of exported graphs.

    Args:
        weights: file or folder; empty: the packaged weights of the variant.
        variant: name of the network.

    Returns:
        64 hexadecimal digits; empty if the variant has no packaged weights.
    """
    from tdnet.backends.onnx.description import DESCRIPTION_NAME

    path = weights or packaged_weights(variant)
    if not path:
        return ""
    return sha256(Path(path, DESCRIPTION_NAME) if Path(path).is_dir() else Path(path))


def git_commit() -> str:
    """Return the commit of the checkout of this file; empty outside one.

    ``-dirty`` follows if tracked files have changed.
    """
    here = Path(__file__)
    # A package may be installed into a folder of another checkout.
    if _git(here.parent, "ls-files", "--error-unmatch", here.name) is None:
        return ""
    return _git(here.parent, "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*") or ""


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
