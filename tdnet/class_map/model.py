"""Class maps: ids, names and colours of the network's output channels."""

from __future__ import annotations

import colorsys
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tdnet._util.regular_files import MISSING, file_problem
from tdnet._util.resources import config_dir
from tdnet.errors import ClassMapError, UnknownNameError

UNLABELLED = 255
"""Class id of pixels without a class."""
MAX_ID = UNLABELLED - 1
MAX_NETWORK_CLASSES = 255
MAX_NAME_CHARS = 64
_MAX_FILE_BYTES = 256 * 1024
_SHOWN_PATH = 256


class FieldError(ClassMapError):
    """A field of a class or class map has a value that is not allowed.

    Args:
        field: the field's path, such as ``"color"`` or ``"classes[3].id"``.
        problem: the given value, the allowed values, the remedy.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


@dataclass(frozen=True)
class SegmentationClass:
    """One class of the labels.

    Attributes:
        id: value in label images, 0 to 254.
        name: 1 to 64 printable characters.
        color: red, green, blue, each 0 to 255.
        sources: output channels of the network that map to this class; at least one.
        hidden: whether overlay and legend omit the class.

    Raises:
        ClassMapError: a value is out of range.
    """

    id: int
    name: str
    color: tuple[int, int, int]
    sources: tuple[int, ...]
    hidden: bool = False

    def __post_init__(self) -> None:
        """Check every field."""
        if not 0 <= self.id <= MAX_ID:
            reserved = f" ({UNLABELLED} is reserved for unlabelled pixels)"
            raise FieldError("id", f"got {self.id}; allowed 0 to {MAX_ID}{reserved}")
        check_name("name", self.name)
        if len(self.color) != 3 or not all(0 <= value <= 255 for value in self.color):
            raise FieldError(
                "color",
                f"got {list(self.color)}; allowed [red, green, blue], each from 0 to 255",
            )
        if not self.sources or not all(0 <= c < MAX_NETWORK_CLASSES for c in self.sources):
            raise FieldError(
                "from",
                f"got {list(self.sources)}; allowed one or more channels from 0 to "
                f"{MAX_NETWORK_CLASSES - 1}",
            )


def check_name(field: str, name: str) -> None:
    """Check the name of a class or of a class map.

    Raises:
        ClassMapError: the name is empty, too long or not printable.
    """
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        shown = name if len(name) <= MAX_NAME_CHARS else name[:MAX_NAME_CHARS] + "..."
        raise FieldError(
            field,
            f"got {shown!r}; allowed 1 to {MAX_NAME_CHARS} printable characters "
            "without spaces around them",
        )


class Conflict(NamedTuple):
    """Two classes that claim the same id, name or network channel."""

    position: int
    """Position of the later class."""
    field: str
    problem: str


def find_conflict(classes: Sequence[SegmentationClass]) -> Conflict | None:
    """Find the first class that repeats an id, a name or a network channel of an earlier one."""
    owners: dict[tuple[str, int | str], str] = {}
    for position, entry in enumerate(classes):
        claims: list[tuple[str, int | str]] = [("id", entry.id), ("name", entry.name)]
        claims += [("from", channel) for channel in entry.sources]
        for claim in claims:
            field, value = claim
            if claim in owners:
                what = "channel" if field == "from" else field
                problem = (
                    f"got {what} {value!r}, which class {owners[claim]!r} has already; "
                    f"allowed one class for each {what}; change or remove one of them"
                )
                return Conflict(position, field, problem)
            owners[claim] = entry.name
    return None


@dataclass(frozen=True)
class ClassMap:
    """The classes of the labels, and their network channels.

    Attributes:
        name: name of the map in messages.
        classes: classes in ascending order of id.
        num_network_classes: output channels of the network, 1 to 255. A channel that is not a
            source of any class maps to 255, unlabelled.

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
        """Load a packaged class map by name, or a class map from a YAML file.

        Args:
            name_or_path: name in `packaged_names`, or path of a file.

        Raises:
            ClassMapError: no such name or file, not readable, or not a valid class map; with
                file, line and field.
        """
        if isinstance(name_or_path, str) and name_or_path in cls.packaged_names():
            path = _packaged_dir() / f"{name_or_path}.yaml"
        else:
            path = Path(name_or_path)
        return cls.from_yaml(_read_text(path), str(path))

    @classmethod
    def from_yaml(cls, text: str, source: str) -> ClassMap:
        """Read a class map from YAML text; docs/class-maps.md describes the fields.

        Args:
            text: YAML document.
            source: file name for messages.

        Raises:
            ClassMapError: not a valid class map; with source, line and field.
        """
        # The reader makes class maps, so its module imports this one.
        from tdnet.class_map.yaml_file import read_class_map

        return read_class_map(text, source)

    @classmethod
    def numbered(cls, num_network_classes: int) -> ClassMap:
        """Create a map with the network's channels as ids, and distinct colours.

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
        """Return the class map as YAML text that `from_yaml` reads."""
        from tdnet.class_map.yaml_file import write_class_map

        return write_class_map(self)

    @staticmethod
    def packaged_names() -> list[str]:
        """List the names of the packaged class maps."""
        return sorted(path.stem for path in _packaged_dir().glob("*.yaml"))

    @cached_property
    def id_table(self) -> npt.NDArray[np.uint8]:
        """Class id by network channel, (256,) uint8, 255 = unlabelled."""
        table = np.full(256, UNLABELLED, np.uint8)
        for entry in self.classes:
            table[list(entry.sources)] = entry.id
        table.flags.writeable = False
        return table

    @cached_property
    def color_table(self) -> npt.NDArray[np.uint8]:
        """Colour by class id, (256, 3) uint8 RGB; black for ids without a class."""
        table = np.zeros((256, 3), np.uint8)
        for entry in self.classes:
            table[entry.id] = entry.color
        table.flags.writeable = False
        return table

    @cached_property
    def hidden_ids(self) -> frozenset[int]:
        """Ids of the classes that overlay and legend omit."""
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


def _packaged_dir() -> Path:
    return config_dir() / "class_maps"


def _read_text(path: Path) -> str:
    shown = f"class map {str(path)[:_SHOWN_PATH]!r}"
    problem = file_problem(path, _MAX_FILE_BYTES)
    if problem:
        names = ClassMap.packaged_names()
        close = difflib.get_close_matches(str(path)[:MAX_NAME_CHARS], names, n=1)
        remedy = f"did you mean {close[0]}?" if close else "check the name or the path"
        given = "got neither a packaged name nor a file" if problem == MISSING else problem
        raise ClassMapError(
            f"{shown}: {given}; allowed {', '.join(names)} or the path of a YAML file; {remedy}"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ClassMapError(f"{shown}: cannot be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ClassMapError(
            f"{path}:{line}: got byte 0x{data[error.start]:02x}, which is not UTF-8; "
            "save the file as UTF-8 text"
        ) from error
