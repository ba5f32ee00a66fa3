"""Files that take long to make: the test runs of a checkout share them until it changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from tdnet._util.regular_files import sha256
from tdnet.backends.onnx import cache

ROOT = Path(__file__).parents[2]
SOURCES = ("tdnet", "tdnet_offline", "config", "tools/study", "test/support")


def shared_file(name: str, write: Callable[[Path], object]) -> Path:
    """Return a file or folder that no test may change; `write` makes it on first use."""
    files = sorted(path for part in SOURCES for path in (ROOT / part).rglob("*.*"))
    sources = [sha256(path) for path in files if path.is_file() and path.suffix != ".pyc"]
    key = cache.key(name, str(torch.__version__), sources)

    def fill(folder: Path) -> None:
        write(folder / name)

    return cache.entry("test", key, fill) / name
