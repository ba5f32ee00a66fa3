"""The classes of labels, and the rules that they keep."""

from __future__ import annotations

from dataclasses import dataclass

from tdnet._util.documents import FieldPath, field_name
from tdnet.errors import ClassMapError, quoted

UNLABELLED = 255
MAX_ID = UNLABELLED - 1
MAX_NETWORK_CLASSES = 255
MAX_NAME_CHARS = 64


class FieldError(ClassMapError):
    """A value that a class or a class map cannot have.

    Attributes:
        path: the field's keys in a class map file: ``("classes", 3, "color")``.
        problem: what was given, what is allowed, what to do.
    """

    def __init__(self, path: FieldPath, problem: str) -> None:
        super().__init__(f"{field_name(path)}: {problem}")
        self.path = path
        self.problem = problem


@dataclass(frozen=True)
class SegmentationClass:
    """One class of the labels.

    Attributes:
        id: value in label images, 0 to 254.
        name: 1 to 64 printable characters.
        color: red, green, blue, each 0 to 255.
        sources: output channels of the network that become this class; at least one.
        hidden: whether overlay and legend leave the class out.

    Raises:
        FieldError: a value is out of range.
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
            raise FieldError(("id",), f"got {self.id}; allowed 0 to {MAX_ID}{reserved}")
        check_name(self.name)
        if len(self.color) != 3 or not all(0 <= value <= 255 for value in self.color):
            allowed = "[red, green, blue], each from 0 to 255"
            raise FieldError(("color",), f"got {list(self.color)}; allowed {allowed}")
        if not self.sources or not all(0 <= c < MAX_NETWORK_CLASSES for c in self.sources):
            allowed = f"one or more channels from 0 to {MAX_NETWORK_CLASSES - 1}"
            raise FieldError(("from",), f"got {list(self.sources)}; allowed {allowed}")


def check_name(name: str) -> None:
    """Check the name of a class or of a class map.

    Raises:
        FieldError: the name is empty, too long or not printable.
    """
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        allowed = f"1 to {MAX_NAME_CHARS} printable characters without spaces around them"
        raise FieldError(("name",), f"got {quoted(name)}; allowed {allowed}")
