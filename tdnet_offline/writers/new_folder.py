"""An output folder that is written completely or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tdnet.errors import InputError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
        with _named(folder):
            temporary.mkdir(parents=True)
        try:
            yield temporary
        except OSError as error:
            if _is_of(error, temporary):
                raise _of(folder, error) from error
            raise
        with _named(folder):
            if is_there:
                _move(temporary, target, last)
            else:
                temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(source: Path, target: Path, last: str) -> None:
    """Move all files of a folder into the folder that contains it.

    Raises:
        OSError: a file of that name exists by now, or a move failed; nothing is moved.
    """
    names = sorted((path.name for path in source.iterdir()), key=lambda name: name == last)
    moved = []
    try:
        for name in names:
            if (target / name).exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            (source / name).replace(target / name)
            moved.append(name)
    except OSError:
        for name in moved:
            (target / name).replace(source / name)
        raise


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Name the folder as the user did in errors, not the temporary one."""
    try:
        yield
    except OSError as error:
        raise _of(folder, error) from error


def _of(folder: Path, error: OSError) -> OSError:
    return OSError(error.errno, error.strerror or str(error), str(folder))


def _is_of(error: OSError, temporary: Path) -> bool:
    """Return whether an error concerns the written files, and not files that were read."""
    if isinstance(error.filename, str):
        return Path(error.filename).is_relative_to(temporary)
    return error.errno in _NO_ROOM
