"""The YAML form of a class map; docs/class-maps.md describes the keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from tdnet._util.documents import Document, load_document, nearest
from tdnet._util.records import Length, Range, read_record
from tdnet._util.resources import config_dir
from tdnet.class_map.classes import (
    MAX_ID,
    MAX_NETWORK_CLASSES,
    FieldError,
    SegmentationClass,
    check_name,
    find_conflict,
)

MAX_BYTES = 256 * 1024
_LISTED = 5
_Part = Annotated[int, Range(0, 255)]
_FOLDER = config_dir() / "class_maps"


class MapParts(NamedTuple):
    """What a file defines.

    Attributes:
        name: of the class map.
        classes: in any order.
        num_network_classes: output channels of the network.
    """

    name: str
    classes: tuple[SegmentationClass, ...]
    num_network_classes: int


@dataclass(frozen=True)
class _ClassRecord:
    name: str
    id: int | None = None
    color: tuple[_Part, _Part, _Part] | None = None
    sources: Annotated[tuple[int | str, ...] | None, Length(1, MAX_NETWORK_CLASSES)] = field(
        default=None, metadata={"key": "from"}
    )
    hidden: bool = False


@dataclass(frozen=True)
class _MapRecord:
    name: str
    network: Annotated[int | str, Range(1, MAX_NETWORK_CLASSES)]
    classes: Annotated[tuple[_ClassRecord, ...], Length(1, MAX_ID + 1)]
    rest: Literal["keep", "unlabelled"] | None = None


def packaged_names() -> list[str]:
    """List the names of the packaged class maps."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def packaged_path(name: str) -> Path:
    """Return the file of one of `packaged_names`."""
    return _FOLDER / f"{name}.yaml"


def read_class_map(document: Document) -> MapParts:
    """Read a class map.

    Raises:
        RecordError: not a valid class map.
    """
    record = read_record(_MapRecord, document)
    try:
        check_name("name", record.name)
    except FieldError as error:
        raise document.error(("name",), error.problem) from error
    reader = _Reader(document, record.network)
    classes = [reader.read_class(index, entry) for index, entry in enumerate(record.classes)]
    kept = reader.classes_to_keep(record.rest, classes)
    conflict = find_conflict([*kept, *classes])
    if conflict:
        # The kept classes have no conflict among themselves: the later class is in the file.
        position = conflict.position - len(kept)
        raise document.error(("classes", position, conflict.field), conflict.problem)
    return MapParts(record.name, (*kept, *classes), reader.num_channels)


def write_class_map(parts: MapParts) -> str:
    """Write a class map as YAML, one line a class, with the network's channels as numbers."""
    lines = [f"name: {_quoted(parts.name)}", f"network: {parts.num_network_classes}"]
    if sum(len(entry.sources) for entry in parts.classes) < parts.num_network_classes:
        lines.append("rest: unlabelled")
    lines.append("classes:")
    for entry in parts.classes:
        line = f"id: {entry.id}, name: {_quoted(entry.name)}, color: {list(entry.color)}"
        if entry.sources != (entry.id,):
            line += f", from: {list(entry.sources)}"
        if entry.hidden:
            line += ", hidden: true"
        lines.append(f"  - {{{line}}}")
    return "\n".join(lines) + "\n"


class _Reader:
    """Makes classes of the entries of a file.

    Args:
        document: the file.
        network: number of the network's channels, or the packaged map that names them.
    """

    def __init__(self, document: Document, network: int | str) -> None:
        self._document = document
        self._by_name: dict[str, SegmentationClass] = {}
        if isinstance(network, int):
            self.num_channels = network
            return
        names = packaged_names()
        if network not in names:
            allowed = f"the number of the network's channels, or one of {', '.join(names)}"
            raise document.mismatch(("network",), network, allowed + nearest(network, names))
        packaged = read_class_map(load_document(packaged_path(network), MAX_BYTES))
        self.num_channels = packaged.num_network_classes
        self._by_name = {entry.name: entry for entry in packaged.classes}
        self._by_channel = {entry.sources: entry for entry in packaged.classes}

    def read_class(self, index: int, record: _ClassRecord) -> SegmentationClass:
        """Make the class of an entry; a class of a packaged network gives what it leaves out."""
        path = ("classes", index)
        if not self._by_name:
            for key in ("id", "color"):
                if getattr(record, key) is None:
                    raise self._document.error(path, f"the key {key} is missing; add it")
        sources = self._read_sources(index, record)
        base = self._by_channel[sources[:1]] if self._by_name else None
        class_id = base.id if base and record.id is None else record.id
        color = base.color if base and record.color is None else record.color
        assert class_id is not None
        assert color is not None
        try:
            return SegmentationClass(class_id, record.name, color, sources, record.hidden)
        except FieldError as error:
            raise self._document.error((*path, error.field), error.problem) from error

    def classes_to_keep(
        self, rest: str | None, classes: Sequence[SegmentationClass]
    ) -> list[SegmentationClass]:
        """Return the network's classes that no entry lists and that stay as they are."""
        allowed = "keep or unlabelled" if self._by_name else "unlabelled"
        if rest == "keep" and not self._by_name:
            reason = "(the channels of the network have no names to keep)"
            raise self._document.mismatch(("rest",), rest, f"{allowed} {reason}")
        used = {channel for entry in classes for channel in entry.sources}
        missing = [channel for channel in range(self.num_channels) if channel not in used]
        if missing and rest is None:
            raise self._document.error(
                ("classes",),
                f"got no from with {self._listed(missing)}; allowed only with the line "
                f"rest: {allowed}; add that line, or list what is missing",
            )
        if rest != "keep":
            return []
        return [entry for entry in self._by_name.values() if not used.intersection(entry.sources)]

    def _read_sources(self, index: int, record: _ClassRecord) -> tuple[int, ...]:
        path = ("classes", index)
        if record.sources is not None:
            return tuple(
                self._read_channel((*path, "from", position), value)
                for position, value in enumerate(record.sources)
            )
        if self._by_name and record.name in self._by_name:
            return self._by_name[record.name].sources
        if not self._by_name and record.id is not None and 0 <= record.id < self.num_channels:
            return (record.id,)
        own = record.name if self._by_name else record.id
        raise self._document.error(
            path,
            f"the key from is missing, and the network has no class {own!r}; add from with the "
            f"network's classes that become this one{nearest(str(own), self._by_name)}",
        )

    def _read_channel(self, path: tuple[str | int, ...], value: int | str) -> int:
        """Return the channel that an entry of ``from`` names, or numbers if it has no name."""
        if self._by_name:
            if value in self._by_name:
                return self._by_name[str(value)].sources[0]
            allowed = f"a class of the network: {', '.join(self._by_name)}"
            raise self._document.mismatch(
                path, value, allowed + nearest(str(value), self._by_name)
            )
        if isinstance(value, int) and 0 <= value < self.num_channels:
            return value
        allowed = f"a channel of the network, a whole number from 0 to {self.num_channels - 1}"
        raise self._document.mismatch(path, value, allowed)

    def _listed(self, channels: Sequence[int]) -> str:
        """Return the first few channels, by name if they have one."""
        named = [
            self._by_channel[(channel,)].name if self._by_name else f"channel {channel}"
            for channel in channels[:_LISTED]
        ]
        more = [f"{len(channels) - _LISTED} more"] if len(channels) > _LISTED else []
        return ", ".join(named + more)


def _quoted(name: str) -> str:
    """Return a name as a YAML scalar; JSON strings are YAML, and printable text needs no more."""
    return json.dumps(name, ensure_ascii=False)
