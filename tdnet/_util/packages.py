"""Optional packages, with one clear error if one is missing or too old."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

from tdnet.errors import MissingPackageError

if TYPE_CHECKING:
    from types import ModuleType


def require(package: str, needed_by: str, least: str = "", install: str = "") -> ModuleType:
    """Import a package that an option needs.

    Args:
        package: name of the module.
        needed_by: the option, such as ``"runtime onnxruntime"``.
        least: oldest version that is accepted, such as ``"2.6"``; empty: any.
        install: instruction to install it; empty: pip with its name.

    Raises:
        MissingPackageError: the package is not installed, or too old.
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
    """Return the numbers of a version: 2, 13 and 0 for ``2.13.0+cpu``."""
    start = re.match(r"\d+(\.\d+)*", version)
    return [int(number) for number in start[0].split(".")] if start else []
