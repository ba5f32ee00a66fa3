"""Write ROS 2 bags that ROS 2 from Humble on can play."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys.store import Typestore

from tdnet.errors import InputError

STORAGES = ("sqlite3", "mcap")
_FOREVER = QosTime(9223372036, 854775807)
# rosbags writes the path into a URI unquoted.
_URI_CHARACTERS = "#?%"
_PLUGINS = {"sqlite3": StoragePlugin.SQLITE3, "mcap": StoragePlugin.MCAP}
# Humble cannot read the QoS of version 9.
_METADATA_VERSION: Literal[8] = 8


class BagWriter:
    """A new bag, to be used in a ``with`` statement.

    Args:
        path: folder of the bag; it must not exist.
        types: with the messages to be written.
        storage: "sqlite3" or "mcap".

    Raises:
        InputError: the folder exists, the storage is not known, or the path has a character
            that sqlite3 bags cannot have.
    """

    def __init__(self, path: Path, types: Typestore, storage: str = "sqlite3") -> None:
        if storage not in _PLUGINS:
            raise InputError(f"unknown storage {storage!r}; use {' or '.join(STORAGES)}")
        if path.exists():
            raise InputError(f"{path} exists already; remove it or give another folder")
        if storage == "sqlite3" and any(character in str(path) for character in _URI_CHARACTERS):
            raise InputError(
                f"{path}: the path of an sqlite3 bag must not contain any of {_URI_CHARACTERS}; "
                "use another folder or --storage mcap"
            )
        self._types = types
        self._connections: dict[str, Connection] = {}
        self._writer = Writer(path, version=_METADATA_VERSION, storage_plugin=_PLUGINS[storage])

    def __enter__(self) -> BagWriter:
        """Open the bag."""
        self._writer.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the bag; it is readable even after an exception."""
        self._writer.close()

    def write(self, topic: str, message: Any, stamp_ns: int, *, latched: bool = False) -> None:  # noqa: ANN401
        """Write a message.

        Args:
            topic: its name; all messages of a topic have one type.
            message: built with the bag's types.
            stamp_ns: time of recording, nanoseconds since the epoch.
            latched: record a publisher that is transient local; the topic's first message
                decides.
        """
        name = message.__msgtype__
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._writer.add_connection(
                topic, name, typestore=self._types, offered_qos_profiles=[_qos(latched)]
            )
            self._connections[topic] = connection
        self._writer.write(connection, stamp_ns, self._types.serialize_cdr(message, name))


def _qos(latched: bool) -> Qos:
    """Return the offered QoS: reliable, which is compatible with every subscriber."""
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=1 if latched else 10,
        reliability=QosReliability.RELIABLE,
        durability=QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
