"""The cache of TensorRT engines."""

from __future__ import annotations

import logging
import os
import re
import time
from contextlib import suppress
from pathlib import Path

from tdnet.errors import InputError

logger = logging.getLogger(__name__)

ABANDONED_AFTER = 3600.0
"""Seconds after which a partly written file is abandoned."""


def cached_engine_path(
    graph_sha256: str, gpu: str, capability: str, processors: int, version: str
) -> Path:
    """Return the cache file of an engine; it depends on graph, GPU and version of TensorRT.

    Args:
        graph_sha256: hash of the ONNX file.
        gpu: name of the GPU.
        capability: compute capability of the GPU, such as ``8.7``.
        processors: number of multiprocessors, which may differ between GPUs of one name.
        version: version of TensorRT.

    Raises:
        InputError: the user has no home folder.
    """
    where = os.environ.get("XDG_CACHE_HOME")
    try:
        cache = Path(where) if where else Path.home() / ".cache"
    except RuntimeError as error:
        raise InputError(
            "there is no home folder to keep TensorRT's engines in: set HOME or XDG_CACHE_HOME"
        ) from error
    words = re.sub(r"[^A-Za-z0-9.]+", "-", f"{gpu} {capability} {processors}")
    return cache / "tdnet" / "tensorrt" / f"{words}-{version}-{graph_sha256}.engine"


def read_kept(path: Path) -> bytes | None:
    """Read an engine; return None if there is none, or log a warning if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("%s cannot be read (%s)", path, error.strerror)
        return None


def keep(plan: bytes, path: Path) -> None:
    """Write an engine atomically for the next start; only the user may read it.

    If that fails, a warning is logged and the next start builds the engine again. Abandoned files
    of killed processes are removed.
    """
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_abandoned(path.parent)
        partial.touch(mode=0o600)
        partial.write_bytes(plan)
        partial.replace(path)
    except OSError as error:
        logger.warning("%s: the engine is not kept (%s)", path, error.strerror)
        with suppress(OSError):
            partial.unlink()


def _remove_abandoned(folder: Path) -> None:
    for partial in folder.glob("*.partial"):
        # Another process may remove it at the same time.
        with suppress(OSError):
            if time.time() - partial.stat().st_mtime > ABANDONED_AFTER:
                partial.unlink()
