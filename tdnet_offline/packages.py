"""Packages that a choice needs: found missing before the work, not after it."""

from __future__ import annotations

from importlib import import_module

from tdnet.errors import MissingPackageError


def check_package(needed_by: str, package: str, extra: str) -> None:
    """Find out whether a package is installed.

    Args:
        needed_by: the choice, such as ``"--format onnx"``.
        package: as it is imported.
        extra: of this project, which installs it.

    Raises:
        MissingPackageError: it is not.
    """
    try:
        import_module(package)
    except ImportError as error:
        raise MissingPackageError(needed_by, package, extra) from error
