"""Class maps: the ids, names and colours that the network's output channels become."""

from __future__ import annotations

import colorsys
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt

from tdnet._util.documents import Document, RecordError, load_document, nearest, parse_yaml
from tdnet._util.records import Length, Range, read_record
from tdnet._util.resources import config_dir
from tdnet.class_map.classes import (
    MAX_ID,
    MAX_NETWORK_CLASSES,
    UNLABELLED,
    FieldError,
    SegmentationClass,
    check_name,
)
from tdnet.errors import ClassMapError, UnknownNameError

MAX_BYTES = 256 * 1024
_SHOWN_CHARS = 256
_LISTED = 5
_FOLDER = config_dir() / "class_maps"
_Part = Annotated[int, Range(0, 255)]


@dataclass(frozen=True)
class ClassMap:
    """The classes of the labels, and how network channels become them.

    Attributes:
        name: name of the map in messages.
        classes: the classes; kept in ascending order of id.
        num_network_classes: output channels of the network, 1 to 255. A channel that no class
            lists among its sources becomes 255, unlabelled.

    Raises:
        ClassMapError: two classes share an id, a name or a channel, or a value is out of range.
    """

    name: str
    classes: tuple[SegmentationClass, ...]
    num_network_classes: int

    def __post_init__(self) -> None:
        """Check the classes against each other, and sort them."""
        check_name(self.name)
        channels = self.num_network_classes
        if not 1 <= channels <= MAX_NETWORK_CLASSES:
            allowed = f"1 to {MAX_NETWORK_CLASSES}"
            raise FieldError(("network",), f"got {channels} channels; allowed {allowed}")
        if not self.classes:
            raise FieldError(("classes",), "got no class; allowed 1 or more; add one")
        owners: dict[tuple[str, int | str], str] = {}
        for index, entry in enumerate(self.classes):
            claims: list[tuple[str, int | str]] = [("id", entry.id), ("name", entry.name)]
            for claim in (*claims, *(("channel", channel) for channel in entry.sources)):
                kind, value = claim
                path = ("classes", index, "from" if kind == "channel" else kind)
                if kind == "channel" and int(value) >= channels:
                    allowed = f"0 to {channels - 1}, the channels of the network"
                    raise FieldError(path, f"got channel {value}; allowed {allowed}")
                if claim in owners:
                    raise FieldError(
                        path,
                        f"got {kind} {value!r}, which class {owners[claim]!r} has already; "
                        f"allowed one class for each {kind}; change or remove one of them",
                    )
                owners[claim] = entry.name
        ordered = tuple(sorted(self.classes, key=lambda entry: entry.id))
        object.__setattr__(self, "classes", ordered)

    @classmethod
    def load(cls, name_or_path: str | Path) -> ClassMap:
        """Load a packaged class map by name, or a user's own from a YAML file.

        Args:
            name_or_path: one of `packaged_names` or the path of a file.

        Raises:
            ClassMapError: no such name or file, not readable, or not a valid class map; the
                message names file, line and field.
        """
        names, name = cls.packaged_names(), str(name_or_path)
        packaged = isinstance(name_or_path, str) and name in names
        try:
            path = _FOLDER / f"{name}.yaml" if packaged else Path(name_or_path)
            document = load_document(path, MAX_BYTES)
        except RecordError as error:
            if error.line is not None:
                raise ClassMapError(str(error)) from error
            raise ClassMapError(
                f"class map {name[:_SHOWN_CHARS]!r}: {error.problem}; allowed {', '.join(names)} "
                f"or the path of a YAML file{nearest(name, names)}"
            ) from error
        return cls.from_document(document)

    @classmethod
    def from_yaml(cls, text: str, source: str) -> ClassMap:
        """Read a class map from YAML text; docs/class-maps.md describes the keys.

        Args:
            text: the YAML document.
            source: the file that messages name.

        Raises:
            ClassMapError: not a valid class map; the message names source, line and field.
        """
        try:
            return cls.from_document(parse_yaml(text, source))
        except RecordError as error:
            raise ClassMapError(str(error)) from error

    @classmethod
    def from_document(cls, document: Document) -> ClassMap:
        """Read a class map from a parsed document.

        Raises:
            ClassMapError: not a valid class map; the message names file, line and field.
        """
        try:
            return _Reader(document).read()
        except RecordError as error:
            raise ClassMapError(str(error)) from error

    @classmethod
    def numbered(cls, num_network_classes: int) -> ClassMap:
        """Make a map that keeps the network's channels as ids, under distinct colours.

        Args:
            num_network_classes: output channels of the network, 1 to 255.
        """
        classes = []
        for channel in range(num_network_classes):
            hue = channel * 0.618034 % 1.0  # the golden ratio keeps neighbouring hues apart
            red, green, blue = colorsys.hsv_to_rgb(hue, 0.65, 0.9)
            color = (round(red * 255), round(green * 255), round(blue * 255))
            classes.append(SegmentationClass(channel, f"class {channel}", color, (channel,)))
        return cls("numbered", tuple(classes), num_network_classes)

    def to_yaml(self) -> str:
        """Return the class map as YAML text of which `from_yaml` makes an equal one."""
        lines = [f"name: {_quoted(self.name)}", f"network: {self.num_network_classes}"]
        if sum(len(entry.sources) for entry in self.classes) < self.num_network_classes:
            lines.append("rest: unlabelled")
        lines.append("classes:")
        for entry in self.classes:
            line = f"id: {entry.id}, name: {_quoted(entry.name)}, color: {list(entry.color)}"
            if entry.sources != (entry.id,):
                line += f", from: {list(entry.sources)}"
            if entry.hidden:
                line += ", hidden: true"
            lines.append(f"  - {{{line}}}")
        return "\n".join(lines) + "\n"

    @staticmethod
    def packaged_names() -> list[str]:
        """List the names of the packaged class maps."""
        return sorted(path.stem for path in _FOLDER.glob("*.yaml"))

    @cached_property
    def id_table(self) -> npt.NDArray[np.uint8]:
        """Table of shape (256,), uint8: class id by network channel, 255 = unlabelled."""
        table = np.full(256, UNLABELLED, np.uint8)
        for entry in self.classes:
            table[list(entry.sources)] = entry.id
        table.flags.writeable = False
        return table

    @cached_property
    def color_table(self) -> npt.NDArray[np.uint8]:
        """Table of shape (256, 3), uint8 RGB: colour by class id, black for no class."""
        table = np.zeros((256, 3), np.uint8)
        for entry in self.classes:
            table[entry.id] = entry.color
        table.flags.writeable = False
        return table

    @cached_property
    def hidden_ids(self) -> frozenset[int]:
        """Ids of the classes that overlay and legend leave out."""
        return frozenset(entry.id for entry in self.classes if entry.hidden)

    def class_by_id(self, class_id: int) -> SegmentationClass:
        """Return the class with an id.

        Raises:
            UnknownNameError: the map has no such id.
        """
        for entry in self.classes:
            if entry.id == class_id:
                return entry
        ids = [str(entry.id) for entry in self.classes]
        raise UnknownNameError("class id", str(class_id), ids)

    def class_by_name(self, name: str) -> SegmentationClass:
        """Return the class with a name.

        Raises:
            UnknownNameError: the map has no such name.
        """
        for entry in self.classes:
            if entry.name == name:
                return entry
        raise UnknownNameError("class", name, [entry.name for entry in self.classes])


def _quoted(name: str) -> str:
    """Return a name as a YAML scalar; JSON strings are YAML, and printable text needs no more."""
    return json.dumps(name, ensure_ascii=False)


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


class _Reader:
    """Makes the class map of a document. Classes of a packaged network complete the entries."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._record = read_record(_MapRecord, document)
        network = self._record.network
        self._by_name: dict[str, SegmentationClass] = {}
        if isinstance(network, int):
            self._channels = network
            return
        names = ClassMap.packaged_names()
        if network not in names:
            allowed = f"the number of the network's channels, or one of {', '.join(names)}"
            raise document.mismatch(("network",), network, allowed + nearest(network, names))
        packaged = ClassMap.load(network)
        self._channels = packaged.num_network_classes
        self._by_name = {entry.name: entry for entry in packaged.classes}

    def read(self) -> ClassMap:
        classes = [self._read_class(*entry) for entry in enumerate(self._record.classes)]
        kept = self._kept(classes)
        try:
            return ClassMap(self._record.name, (*kept, *classes), self._channels)
        except FieldError as error:
            # The kept classes have no conflict among themselves: the later class is in the file.
            path = (part - len(kept) if isinstance(part, int) else part for part in error.path)
            raise self._document.error(tuple(path), error.problem) from error

    def _read_class(self, index: int, record: _ClassRecord) -> SegmentationClass:
        path = ("classes", index)
        for key in () if self._by_name else ("id", "color"):
            if getattr(record, key) is None:
                raise self._document.error(path, f"the key {key} is missing; add it")
        sources = self._read_sources(index, record)
        base = next((c for c in self._by_name.values() if sources[0] in c.sources), None)
        class_id = base.id if base and record.id is None else record.id
        color = base.color if base and record.color is None else record.color
        assert class_id is not None
        assert color is not None
        try:
            return SegmentationClass(class_id, record.name, color, sources, record.hidden)
        except FieldError as error:
            raise self._document.error((*path, *error.path), error.problem) from error

    def _kept(self, classes: Sequence[SegmentationClass]) -> list[SegmentationClass]:
        """Return the network's classes that no entry lists and that stay as they are."""
        rest = self._record.rest
        allowed = "keep or unlabelled" if self._by_name else "unlabelled"
        if rest == "keep" and not self._by_name:
            reason = "(the channels of the network have no names to keep)"
            raise self._document.mismatch(("rest",), rest, f"{allowed} {reason}")
        used = {channel for entry in classes for channel in entry.sources}
        names = {channel: c.name for c in self._by_name.values() for channel in c.sources}
        missing = [names.get(c, f"channel {c}") for c in range(self._channels) if c not in used]
        if missing and rest is None:
            if len(missing) > _LISTED:
                missing[_LISTED:] = [f"{len(missing) - _LISTED} more"]
            raise self._document.error(
                ("classes",),
                f"got no from with {', '.join(missing)}; allowed only with the line "
                f"rest: {allowed}; add that line, or list what is missing",
            )
        kept = self._by_name.values() if rest == "keep" else ()
        return [entry for entry in kept if not used.intersection(entry.sources)]

    def _read_sources(self, index: int, record: _ClassRecord) -> tuple[int, ...]:
        """Return the channels that become a class."""
        path = ("classes", index)
        if record.sources is not None:
            sources: list[int] = []
            for position, value in enumerate(record.sources):
                sources += self._read_source((*path, "from", position), value)
            return tuple(sources)
        if record.name in self._by_name:
            return self._by_name[record.name].sources
        if not self._by_name and record.id is not None and 0 <= record.id < self._channels:
            return (record.id,)
        own = record.name if self._by_name else record.id
        raise self._document.error(
            path,
            f"the key from is missing, and the network has no class {own!r}; add from with the "
            f"network's classes that become this one{nearest(str(own), self._by_name)}",
        )

    def _read_source(self, path: tuple[str | int, ...], value: int | str) -> tuple[int, ...]:
        if self._by_name:
            if value in self._by_name:
                return self._by_name[str(value)].sources
            allowed = f"a class of the network: {', '.join(self._by_name)}"
            allowed += nearest(str(value), self._by_name)
        else:
            if isinstance(value, int) and 0 <= value < self._channels:
                return (value,)
            highest = self._channels - 1
            allowed = f"a channel of the network, a whole number from 0 to {highest}"
        raise self._document.mismatch(path, value, allowed)
