"""Removal of the shared memory that killed processes with Fast DDS leave behind."""

from __future__ import annotations

import fcntl
import re
import time
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
# A starting process creates the lock before it holds it.
STARTING_SECONDS = 30.0
_LOCK = re.compile(r"fast(dds|rtps)_[0-9a-f]{16}_el")


def remove_orphans(folder: Path = SHARED_MEMORY) -> int:
    """Remove the segments of processes that were killed, as `fastdds shm clean` does.

    Each segment has a lock that its process holds while it lives. With the profile for large
    images, a segment occupies 64 MiB of memory until it is removed.

    Args:
        folder: folder of the segments.

    Returns:
        Freed bytes.
    """
    freed = 0
    for lock in folder.glob("fast*_el"):
        try:
            if (
                _LOCK.fullmatch(lock.name)
                and time.time() - lock.stat().st_mtime > STARTING_SECONDS
            ):
                freed += _remove_if_free(lock)
        # Held, owned by another user, or already removed.
        except OSError:
            continue
    return freed


def _remove_if_free(lock: Path) -> int:
    segment = lock.with_name(lock.name.removesuffix("_el"))
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = segment.stat().st_size if segment.exists() else 0
        segment.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
    return size
