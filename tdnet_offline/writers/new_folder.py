"""An output folder that is whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tdnet.errors import InputError


def check_new(folder: Path) -> None:
    """Refuse a folder that holds something, before long work for it.

    Raises:
        InputError: it is a file, or not empty.
        OSError: it cannot be looked at.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a new folder, or an empty one")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; give a new folder, or empty it first")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Gives a temporary folder beside `folder`, and moves it there if all went well.

    Raises:
        InputError: `folder` is a file, or not empty.
        OSError: something cannot be written; nothing is left of it.
    """
    check_new(folder)
    target = folder.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.replace(target)  # an empty folder gives way
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(folder)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
