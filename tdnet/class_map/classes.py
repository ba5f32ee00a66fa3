"""The classes of labels, and the rules that they keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tdnet.errors import ClassMapError

UNLABELLED = 255
MAX_ID = UNLABELLED - 1
MAX_NETWORK_CLASSES = 255
MAX_NAME_CHARS = 64


class FieldError(ClassMapError):
    """A value that a class or a class map cannot have.

    Attributes:
        field: the field's key in a class map file: ``color``.
        problem: what was given, what is allowed, what to do.
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
        FieldError: the name is empty, too long or not printable.
    """
    if not 1 <= len(name) <= MAX_NAME_CHARS or not name.isprintable() or name != name.strip():
        shown = name if len(name) <= MAX_NAME_CHARS else name[:MAX_NAME_CHARS] + "..."
        raise FieldError(
            field,
            f"got {shown!r}; allowed 1 to {MAX_NAME_CHARS} printable characters "
            "without spaces around them",
        )


class Conflict(NamedTuple):
    """Two classes that claim the same id, name or network channel.

    Attributes:
        position: of the later class.
        field: that both claim.
        problem: what was given, what is allowed, what to do.
    """

    position: int
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
                kind = "channel" if field == "from" else field
                problem = (
                    f"got {kind} {value!r}, which class {owners[claim]!r} has already; "
                    f"allowed one class for each {kind}; change or remove one of them"
                )
                return Conflict(position, field, problem)
            owners[claim] = entry.name
    return None
