"""Compressed parts of bags, unpacked up to a limit: a megabyte may hold gigabytes of zeros.

`rosbags` unpacks without a limit and has no setting for one, so what it unpacks with is replaced.
"""

from __future__ import annotations

import bz2
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import Any

import rosbags.rosbag1.reader
import rosbags.rosbag2.reader
import rosbags.rosbag2.storage_mcap
from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]

# Of one chunk or message: twice the largest image in 16 bit, with alpha.
MAX_UNPACKED_BYTES = 1 << 30
# Of the free space of the temporary folder, where bags that are compressed as a whole unpack.
MAX_DISK_SHARE = 0.5

_rosbag1: Any = rosbags.rosbag1.reader
_rosbag2: Any = rosbags.rosbag2.reader
_mcap: Any = rosbags.rosbag2.storage_mcap
_zstd = _rosbag2.zstd
_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "zstd": _zstd.ZstdDecompressor,
    "lz4": LZ4FrameDecompressor,
    "bz2": bz2.BZ2Decompressor,
}


def unpack(codec: str, data: bytes) -> bytes:
    """Unpack a chunk or a message.

    Args:
        codec: ``"zstd"``, ``"lz4"``, ``"bz2"``, or ``""`` for what is not packed.
        data: as the bag holds it.

    Raises:
        ValueError: it unpacks to more than `MAX_UNPACKED_BYTES`, is cut off, or of another codec.
        Exception: of other kinds, where bytes are damaged.
    """
    if not codec:
        return data
    if codec not in _DECOMPRESSORS:
        raise ValueError(f"compression {codec!r} is not known")
    decompressor = _DECOMPRESSORS[codec]()
    unpacked = bytes(decompressor.decompress(data, max_length=MAX_UNPACKED_BYTES + 1))
    if len(unpacked) > MAX_UNPACKED_BYTES:
        raise ValueError(f"{len(data)} bytes unpack to more than {MAX_UNPACKED_BYTES}")
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("compressed data that are cut off or have something behind them")
    return unpacked


class _LimitedFile:
    """A zstd file that unpacks to at most a share of the free disk space."""

    def __init__(self, file: Any, mode: str) -> None:  # noqa: ANN401
        self._file = _zstd.open(file, mode)
        self._left = shutil.disk_usage(tempfile.gettempdir()).free * MAX_DISK_SHARE

    def __enter__(self) -> _LimitedFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        part: bytes = self._file.read(size)
        self._left -= len(part)
        if self._left < 0:
            raise ValueError(
                f"the bag unpacks to more than {MAX_DISK_SHARE:.0%} of the free disk space"
            )
        return part


def limit_rosbags() -> None:
    """Have `rosbags` unpack within the limits from now on."""
    for codec in ("lz4", "zstd"):
        _mcap.DECOMPRESSORS[codec] = lambda data, _, codec=codec: unpack(codec, data)
    for codec in ("lz4", "bz2"):
        _rosbag1.decompressors[codec] = partial(unpack, codec)
    _rosbag2.zstd = SimpleNamespace(decompress=partial(unpack, "zstd"), open=_LimitedFile)
