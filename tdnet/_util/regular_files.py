"""Check a file of untrusted origin before it is opened; hash a file."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

MISSING = "does not exist"
EMPTY = "is empty"
_BLOCK_BYTES = 1 << 20


def file_problem(path: Path, max_bytes: int) -> str | None:
    """Return why a file must not be read; None if it may be read.

    Pipes and devices are refused: a pipe may block, and a device may never end. Files of /proc
    and /sys report a size of zero, and some of them block too.

    Args:
        path: path of the file.
        max_bytes: upper limit of its size.

    Returns:
        The problem and the limit, to follow the file name in a message.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except ValueError as error:
        return f"cannot be read ({error})"
    if stat.S_ISDIR(found.st_mode):
        return "is a folder"
    if not stat.S_ISREG(found.st_mode):
        return "is a pipe, a device or the like, not a file"
    if found.st_size == 0:
        return EMPTY
    if found.st_size > max_bytes:
        return f"has {found.st_size} bytes; allowed are {max_bytes}"
    return None


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
