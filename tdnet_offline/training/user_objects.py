"""Classes of the user that a recipe names by class path: callbacks, loggers, losses."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from typing import TypeVar

from tdnet._util.documents import nearest
from tdnet.errors import InputError, TdnetError, first_line, quoted
from tdnet_offline.training.configuration import ClassPath

Created = TypeVar("Created")


def import_from_working_directory() -> None:
    """Let modules of the user be files in the working directory; installed packages come first."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def create_object(given: ClassPath, base: type[Created], key: str, **defaults: object) -> Created:
    """Import a class and create an object of it.

    A class that is no subclass of `base` is never called: a recipe cannot run arbitrary functions.
    Messages name the key; defaults are for parameters that the class has and `given` leaves out.

    Raises:
        InputError: the class or an argument cannot be used.
    """
    module_name, _, name = given.class_path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(
            f"{key}: {given.class_path} cannot be imported: {first_line(error)}; install its "
            "package, or put its file into the working directory or a folder on PYTHONPATH"
        ) from error
    found = getattr(module, name, None)
    if not isinstance(found, type) or not issubclass(found, base):
        names = [
            each
            for each, item in vars(module).items()
            if isinstance(item, type) and issubclass(item, base) and item is not base
        ]
        raise InputError(
            f"{key}: {quoted(given.class_path)} is no subclass of {base.__module__}."
            f"{base.__qualname__}{nearest(name, names)}"
        )
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError) as error:  # of some classes in C
        raise InputError(f"{key}: {given.class_path}: {first_line(error)}") from error
    arguments = {n: value for n, value in defaults.items() if n in signature.parameters}
    arguments |= given.init_args
    try:
        signature.bind(**arguments)
    except TypeError as error:
        unknown = [word for word in arguments if word not in signature.parameters]
        hint = nearest(unknown[0], list(signature.parameters)) if unknown else ""
        raise InputError(f"{key}: init_args of {given.class_path}: {error}{hint}") from error
    try:
        return found(**arguments)
    except TdnetError:
        raise
    except Exception as error:
        raise InputError(f"{key}: {given.class_path}: {first_line(error)}") from error
