"""Packages that only some choices need: missing or too old ones are named in one line."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

from tdnet.errors import MissingPackageError

if TYPE_CHECKING:
    from types import ModuleType


def require(package: str, needed_by: str, least: str = "", install: str = "") -> ModuleType:
    """Import a package that a choice needs.

    Args:
        package: as it is imported.
        needed_by: the choice, such as ``"runtime onnxruntime"``.
        least: the oldest version that will do, such as ``"2.6"``; empty: any.
        install: how to install it; empty: by its name.

    Raises:
        MissingPackageError: it is not installed, or too old.
    """
    wanted = f"{package} {least} or later" if least else package
    requirement = f'"{package}>={least}"' if least else package
    remedy = install or f"pip install {requirement}"
    try:
        module = import_module(package)
    except ImportError as error:
        raise MissingPackageError(needed_by, wanted, remedy) from error
    if least:
        found = str(module.__version__)
        if _numbers(found) < _numbers(least):
            raise MissingPackageError(needed_by, f"{wanted} (found {found})", remedy)
    return module


def _numbers(version: str) -> list[int]:
    """Give what orders versions: of ``2.13.0+cpu`` 2, 13 and 0."""
    start = re.match(r"\d+(\.\d+)*", version)
    return [int(number) for number in start[0].split(".")] if start else []
