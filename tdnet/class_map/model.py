"""Class maps: the ids, names and colours that the network's output channels become."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tdnet._util.documents import Document, RecordError, load_document, nearest, parse_yaml
from tdnet._util.regular_files import MISSING
from tdnet.class_map.class_map_file import (
    MAX_BYTES,
    MapParts,
    packaged_names,
    packaged_path,
    read_class_map,
    write_class_map,
)
from tdnet.class_map.classes import (
    MAX_NETWORK_CLASSES,
    UNLABELLED,
    FieldError,
    SegmentationClass,
    check_name,
    find_conflict,
)
from tdnet.errors import ClassMapError, UnknownNameError

_SHOWN_CHARS = 256


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
        """Sort the classes and check them against each other."""
        check_name("name", self.name)
        if not 1 <= self.num_network_classes <= MAX_NETWORK_CLASSES:
            raise FieldError(
                "network",
                f"got {self.num_network_classes} channels; allowed 1 to {MAX_NETWORK_CLASSES}",
            )
        ordered = tuple(sorted(self.classes, key=lambda entry: entry.id))
        object.__setattr__(self, "classes", ordered)
        if not ordered:
            raise FieldError("classes", "got no class; allowed 1 or more; add one")
        conflict = find_conflict(ordered)
        if conflict:
            raise FieldError(f"classes[{conflict.position}].{conflict.field}", conflict.problem)
        for index, entry in enumerate(ordered):
            if max(entry.sources) >= self.num_network_classes:
                raise FieldError(
                    f"classes[{index}].from",
                    f"got channel {max(entry.sources)}; allowed 0 to "
                    f"{self.num_network_classes - 1}, the channels of the network",
                )

    @classmethod
    def load(cls, name_or_path: str | Path) -> ClassMap:
        """Load a packaged class map by name, or a user's own from a YAML file.

        Args:
            name_or_path: one of `packaged_names` or the path of a file.

        Raises:
            ClassMapError: no such name or file, not readable, or not a valid class map; the
                message names file, line and field.
        """
        packaged = isinstance(name_or_path, str) and name_or_path in packaged_names()
        path = packaged_path(str(name_or_path)) if packaged else Path(name_or_path)
        try:
            document = load_document(path, MAX_BYTES)
        except RecordError as error:
            if error.line is None:
                raise _unusable_file(str(name_or_path), error.problem) from error
            raise ClassMapError(str(error)) from error
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
            return cls(*read_class_map(document))
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
        return write_class_map(MapParts(self.name, self.classes, self.num_network_classes))

    @staticmethod
    def packaged_names() -> list[str]:
        """List the names of the packaged class maps."""
        return packaged_names()

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


def _unusable_file(name: str, problem: str) -> ClassMapError:
    names = packaged_names()
    given = "got neither a packaged name nor a file" if problem == MISSING else problem
    remedy = nearest(name, names) or "; check the name or the path"
    return ClassMapError(
        f"class map {name[:_SHOWN_CHARS]!r}: {given}; allowed {', '.join(names)} or the path of "
        f"a YAML file{remedy}"
    )
