"""A checkpoint whose reading never ends."""

from __future__ import annotations

import pickle
from pathlib import Path

_LEGACY_START = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {})
_DOUBLE = b"q\x01h\x01\x86"  # a tuple that holds the last item twice


def endless_checkpoint(path: Path) -> Path:
    """Write a file with a storage key, a tuple of tuples, that takes 2 ** 60 steps to hash."""
    keys = b"\x80\x02])" + _DOUBLE * 60 + b"a."
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in _LEGACY_START) + keys)
    return path
