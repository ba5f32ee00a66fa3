"""The readable part of a damaged or unfinished sqlite3 file of a bag."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tdnet_offline.bags.record import BagRecord

_HEADER = 100
"""Bytes of the header of an SQLite file."""


@dataclass
class Contents:
    """Types of topics, and definitions of types, by name."""

    topics: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        # Without it SQLite refuses a file that is shorter than its header says.
        connection.execute("PRAGMA writable_schema = ON")
        _check_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def contents(path: Path) -> Contents:
    """Return what the file says about its topics."""
    with closing(_connect(path)) as connection:
        found = Contents(dict(connection.execute("SELECT name, type FROM topics")))
        try:
            rows = connection.execute(
                "SELECT topic_type, encoded_message_definition FROM message_definitions "
                "WHERE encoding = 'ros2msg'"
            )
            found.definitions = dict(rows)
        except sqlite3.Error:
            # Bags of Humble have no such table.
            found.definitions = {}
    return found


def check_plain(path: Path) -> None:
    """Refuse a file whose rows are computed instead of stored: a query on it may never end.

    Raises:
        ValueError: it has a view, a virtual table or a generated column; no recorder makes them.
        sqlite3.Error: its schema is damaged.
    """
    _connect(path).close()


def _check_tables(connection: sqlite3.Connection) -> None:
    # As SQLite understands the schema: its own text may say something else.
    tables = "SELECT name, type FROM pragma_table_list WHERE schema = 'main'"
    for name, kind in connection.execute(tables).fetchall():
        if kind != "table":
            raise ValueError(f"{kind} {name!r} is not what a bag has")
        columns = connection.execute("SELECT hidden FROM pragma_table_xinfo(?)", (name,))
        if any(hidden for (hidden,) in columns):
            raise ValueError(f"table {name!r} has computed columns")


def is_cut_off(path: Path) -> bool:
    """Say whether the file ends within a page, which SQLite silently fills up with zeros."""
    with path.open("rb") as stream:
        head = stream.read(_HEADER)
    if len(head) < _HEADER:
        return True
    # A page of 65536 bytes is written as 1.
    page = int.from_bytes(head[16:18], "big")
    return path.stat().st_size % (page if page > 1 else 65536) != 0


def records(path: Path) -> Iterator[BagRecord]:
    """Yield the messages in the order in which they were written, up to the damage.

    Raises:
        sqlite3.Error: at the damage.
        ValueError: where the file is cut off.
    """
    cut_off = is_cut_off(path)
    held: BagRecord | None = None
    with closing(_connect(path)) as connection:
        topics = {
            row[0]: row[1:] for row in connection.execute("SELECT id, name, type FROM topics")
        }
        # By row, not by time: the index of times may be what is damaged.
        rows = connection.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id")
        for topic, stamp, data in rows:
            if held is not None:
                yield held
            name, kind = topics[topic]
            held = BagRecord(name, kind, int(stamp), bytes(data))
            # The last message of a file that is cut off may end in the zeros of its last page.
            if not cut_off:
                yield held
                held = None
    if cut_off:
        raise ValueError("the file is cut off")
