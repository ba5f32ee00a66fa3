"""Files that a stranger named or made: looked at before they are opened."""

from __future__ import annotations

import stat
from pathlib import Path

MISSING = "does not exist"
EMPTY = "is empty"


def file_problem(path: Path, max_bytes: int) -> str | None:
    """Say why a file is not to be read; None where it may be.

    A pipe or a device is never opened: the one blocks, the other never ends. The files of /proc
    and /sys claim to be empty, and some of them block, too.

    Args:
        path: of the file.
        max_bytes: most that it may have.

    Returns:
        What is wrong and what is allowed, to stand behind the name of the file.
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
