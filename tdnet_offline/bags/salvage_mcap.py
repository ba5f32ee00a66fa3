"""The readable part of a damaged or unfinished mcap file of a bag, record by record."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tdnet_offline.bags.record import BagRecord
from tdnet_offline.bags.salvage_sqlite import Contents
from tdnet_offline.bags.unpacking import unpack

_MAGIC = b"\x89MCAP0\r\n"
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x03, 0x04, 0x05, 0x06, 0x0F


class TruncatedError(ValueError):
    """The file ends in the middle of a record."""


class _Fields:
    """Reads the fields of one record in order."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def numbers(self, layout: str) -> tuple[int, ...]:
        size = struct.calcsize(f"<{layout}")
        return struct.unpack(f"<{layout}", self.take(size))

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) < size:
            raise TruncatedError("a record is cut off")
        self._at += size
        return part

    def text(self) -> str:
        return self.take(self.numbers("I")[0]).decode()

    def rest(self) -> bytes:
        return self._data[self._at :]


def _records(
    stream: BinaryIO, left: int, within_chunk: bool = False
) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, data) of the records of a file or chunk that has ``left`` bytes."""
    while head := stream.read(9):
        if len(head) < 9:
            raise TruncatedError("the file is cut off")
        size = int(struct.unpack("<Q", head[1:])[0])
        # A damaged size may be beyond all memory.
        data = stream.read(min(size, left))
        left -= 9 + size
        if head[0] == _CHUNK:
            if within_chunk:
                raise ValueError("a chunk within a chunk")
            yield from _chunk(data)
            if len(data) < size:
                raise TruncatedError("the file is cut off")
            continue
        if len(data) < size:
            raise TruncatedError("the file is cut off")
        if head[0] == _DATA_END:
            return
        yield head[0], data


def _chunk(data: bytes) -> Iterator[tuple[int, bytes]]:
    fields = _Fields(data)
    fields.numbers("QQQI")
    compression = fields.text()
    fields.numbers("Q")
    records = unpack(compression, fields.rest())
    yield from _records(io.BytesIO(records), len(records), within_chunk=True)


def _open(path: Path) -> BinaryIO:
    stream = path.open("rb")
    if stream.read(len(_MAGIC)) != _MAGIC:
        stream.close()
        raise ValueError("not an mcap file")
    return stream


def contents(path: Path) -> Contents:
    """Return what the readable part of the file says about its topics."""
    found = Contents()
    schemas: dict[int, str] = {}
    with _open(path) as stream:
        try:
            for kind, data in _records(stream, path.stat().st_size):
                fields = _Fields(data)
                if kind == _SCHEMA:
                    (number,) = fields.numbers("H")
                    name, encoding = fields.text(), fields.text()
                    schemas[number] = name
                    if encoding == "ros2msg":
                        found.definitions[name] = fields.text()
                elif kind == _CHANNEL:
                    _, schema = fields.numbers("HH")
                    found.topics[fields.text()] = schemas[schema]
        except Exception:
            # What was found before the damage is all there is; `records` tells about the damage.
            return found
    return found


def records(path: Path) -> Iterator[BagRecord]:
    """Yield the messages in the order in which they were written, up to the damage.

    Raises:
        TruncatedError: the file ends too early.
        Exception: of other kinds, where bytes are damaged.
    """
    schemas: dict[int, str] = {}
    channels: dict[int, tuple[str, str]] = {}
    with _open(path) as stream:
        for kind, data in _records(stream, path.stat().st_size):
            fields = _Fields(data)
            if kind == _SCHEMA:
                (number,) = fields.numbers("H")
                schemas[number] = fields.text()
            elif kind == _CHANNEL:
                number, schema = fields.numbers("HH")
                channels[number] = (fields.text(), schemas[schema])
            elif kind == _MESSAGE:
                number, _, stamp, _ = fields.numbers("HIQQ")
                topic, name = channels[number]
                yield BagRecord(topic, name, stamp, fields.rest())
