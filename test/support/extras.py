"""Optional packages; `make test` installs them."""

from __future__ import annotations

from types import ModuleType

import pytest

from tdnet.backends.onnx.providers import BY_NAME


def exporting_package(name: str) -> ModuleType:
    """Import a package of the extras `export` and `onnxruntime`, or skip the test."""
    module: ModuleType = pytest.importorskip(
        name, reason=f"needs {name} of the extras export and onnxruntime: use `make test`"
    )
    return module


def needs_provider(name: str) -> None:
    """Skip the test if the installed ONNX Runtime lacks an execution provider."""
    exporting_package("onnxruntime")
    provider = BY_NAME[name]
    if not provider.is_installed:
        pytest.skip(f"needs provider {name}: pip install {provider.packages}, then `make test`")
