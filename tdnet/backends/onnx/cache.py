"""The cache folder: networks exported from weights files, and what providers compile of them.

Each entry is a folder. The least recently used ones are removed beyond `MAX_BYTES`. The folder
may be deleted at any time. Only the user can read it: compiled graphs are code.
"""

from __future__ import annotations

import atexit
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

logger = logging.getLogger(__name__)

MAX_BYTES = 4 << 30
"""Limit of all entries together."""
_PARTIAL = ".partial-"
_ABANDONED_AFTER = 3600.0
"""Seconds after which an entry that was never finished is removed."""


def cache_folder() -> Path:
    """Return the folder of the entries, and create it.

    It is ``$XDG_CACHE_HOME/tdnet`` or ``~/.cache/tdnet``; if it cannot be written, or others can
    write to it, a temporary folder that is removed when the process ends.
    """
    where = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        folder = (where if where.is_absolute() else Path.home() / ".cache") / "tdnet"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        state = folder.stat()
        if state.st_uid != os.geteuid() or state.st_mode & 0o022:
            reason = f"{folder} belongs to another user, or others may write to it"
        elif os.access(folder, os.W_OK | os.X_OK):
            return folder
        else:
            reason = f"{folder} is not writable"
    except (OSError, RuntimeError) as error:
        reason = str(error)
    return _temporary_folder(reason)


@cache
def _temporary_folder(reason: str) -> Path:
    logger.warning("compiled networks are not kept for the next start: %s", reason)
    folder = tempfile.mkdtemp(prefix="tdnet-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def key(*parts: object) -> str:
    """Return the name of the entry that depends on these values."""
    return sha256(repr(parts).encode()).hexdigest()[:32]


def entry(kind: str, name: str, fill: Callable[[Path], None] | None = None) -> Path:
    """Return the folder of an entry; create it on first use.

    Args:
        kind: start of the folder's name.
        name: see `key`.
        fill: writes the files of a new entry to a folder; after an error there is no entry.
    """
    folder = cache_folder() / f"{kind}-{name}"
    if fill is None:
        folder.mkdir(mode=0o700, exist_ok=True)
    else:
        with locked(kind, name):
            if not folder.is_dir():
                with replacement(kind, name) as temporary:
                    fill(temporary)
    with suppress(OSError):
        os.utime(folder)
    _remove_old(folder)
    return folder


@contextmanager
def locked(kind: str, name: str) -> Iterator[None]:
    """Wait until no other process writes the entry, and keep others from it in the block."""
    with (cache_folder() / f".lock-{kind}-{name}").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def holds_files(kind: str, name: str) -> bool:
    """Return whether there is an entry with any file."""
    folder = cache_folder() / f"{kind}-{name}"
    return folder.is_dir() and any(folder.iterdir())


@contextmanager
def replacement(kind: str, name: str) -> Iterator[Path]:
    """Yield an empty folder that replaces an entry, unless the block raises."""
    folder = cache_folder() / f"{kind}-{name}"
    temporary = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=folder.parent))
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_old(kept: Path) -> None:
    """Remove abandoned entries, and the least recently used ones beyond the limit."""
    states = []
    for folder in filter(Path.is_dir, kept.parent.iterdir()):
        with suppress(OSError):
            states.append((folder.stat().st_mtime, _size(folder), folder))
    total = sum(size for _, size, _ in states)
    for used, size, folder in sorted(states):
        if folder.name.startswith(_PARTIAL):
            removed = used < time.time() - _ABANDONED_AFTER
        else:
            removed = total > MAX_BYTES and folder != kept
        if removed:
            shutil.rmtree(folder, ignore_errors=True)
            total -= size


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
