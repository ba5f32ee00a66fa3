"""Databases of bags, checked where `rosbags` opens them.

The name of a bag's file says little: its metadata say how it is read, and one that is compressed
as a whole is read from a temporary folder. So the reader of `rosbags` is replaced.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import rosbags.rosbag2.reader
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

from tdnet_offline.bags.salvage_sqlite import check_plain

_reader: Any = rosbags.rosbag2.reader


class PlainSqliteReader(Sqlite3Reader):
    """A database with nothing but tables.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        # It becomes part of a URI, in which "%2e%2e" would name another folder.
        super().__init__(Path(quote(str(path))))
        self._file = path

    def open(self) -> None:
        """Open the file.

        Raises:
            ValueError: a query on it may never end.
            Exception: of other kinds, where it is damaged.
        """
        check_plain(self._file)
        super().open()


def check_databases() -> None:
    """Have `rosbags` refuse databases that compute from now on."""
    for opener, kind in ((_reader.Reader, ".db3"), (_reader.DirectoryReader, "sqlite3")):
        opener.STORAGE_PLUGINS = {**opener.STORAGE_PLUGINS, kind: PlainSqliteReader}
