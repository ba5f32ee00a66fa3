"""Optional packages; `make test` installs them."""

from __future__ import annotations

from types import ModuleType

import pytest


def exporting_package(name: str) -> ModuleType:
    """Import a package of the extras `export` and `onnxruntime`, or skip the test."""
    module: ModuleType = pytest.importorskip(
        name, reason=f"needs {name} of the extras export and onnxruntime: use `make test`"
    )
    return module
