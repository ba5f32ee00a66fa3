"""An output folder that is written completely or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tdnet.errors import InputError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_new(folder: Path) -> None:
    """Check that an output folder is new or empty, before long work for it.

    Raises:
        InputError: it is a file, or not empty.
        OSError: it cannot be read.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a new folder, or an empty one")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; give a new folder, or empty it first")


@contextmanager
def new_folder(folder: Path, last: str) -> Iterator[Path]:
    """Yield a temporary folder, and move its files to `folder` on success.

    An existing folder is filled, not replaced: it may be a mount point or a working directory.

    Args:
        folder: new, or empty.
        last: name of the file by which readers recognise a complete folder; moved last.

    Raises:
        InputError: `folder` is a file, or not empty.
        OSError: something cannot be written; no file of it is left.
    """
    check_new(folder)
    target = folder.resolve()
    is_there = target.is_dir()
    name = f".{target.name}.{os.getpid()}.partial"
    temporary = target / name if is_there else target.with_name(name)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if is_there:
            _move(temporary, target, last)
        else:
            temporary.rename(target)
    except OSError as error:
        named = error.filename
        inside = isinstance(named, str) and Path(named).is_relative_to(temporary)
        # A write error has no file name; without one, other errors are not of this folder.
        if not inside and (named is not None or error.errno not in _DISK_FULL):
            raise
        # The user knows the folder, not the temporary one.
        raise OSError(error.errno, error.strerror or str(error), str(folder)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(source: Path, target: Path, last: str) -> None:
    """Move all files of a folder into an empty one.

    Raises:
        OSError: a file has arrived there meanwhile, or a move failed; nothing is moved.
    """
    moved: list[Path] = []
    try:
        for path in sorted(source.iterdir(), key=lambda path: path.name == last):
            if (target / path.name).exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            path.rename(target / path.name)
            moved.append(path)
    except OSError:
        for path in moved:
            (target / path.name).rename(path)
        raise
