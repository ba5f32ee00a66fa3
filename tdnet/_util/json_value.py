"""A value of a JSON document, read as what it must be; a mistake names the field."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from tdnet.errors import InputError, quoted

Read = TypeVar("Read")

_LONGEST = 100
"""Bits of a number that a message shows."""


class JsonValue:
    """One value, and where in the document it is.

    Every method that reads raises InputError where the value is not of its kind.

    Args:
        value: as `json` gives it.
        parent: that it is a part of; None: it is the document.
        key: its name or number in the parent.
    """

    def __init__(self, value: Any, parent: JsonValue | None = None, key: str | int = "") -> None:  # noqa: ANN401
        self._value, self._parent, self._key = value, parent, key

    @property
    def name(self) -> str:
        """Such as ``frames[3].stages_ms.total``."""
        before = self._parent.name if self._parent else ""
        if isinstance(self._key, int):
            return f"{before}[{self._key}]"
        return f"{before}.{self._key}" if before else self._key

    @property
    def is_text(self) -> bool:
        """Whether it is a string, where others are allowed too."""
        return isinstance(self._value, str)

    def text(self) -> str:
        """Read a string."""
        return str(self._of(str, "a text"))

    def integer(self, least: int, most: int) -> int:
        """Read a whole number of a range."""
        found = self._of(int, "a whole number")
        if not least <= found <= most:
            raise self._mistake(f"a whole number from {least} to {most}")
        return int(found)

    def number(self, least: float, most: float) -> float:
        """Read a number of a range."""
        found = self._of((int, float), "a number")
        if not least <= found <= most:  # NaN is in no range
            raise self._mistake(f"a number from {least:g} to {most:g}")
        return float(found)

    def items(self) -> list[JsonValue]:
        """Read a list."""
        return [JsonValue(item, self, i) for i, item in enumerate(self._of(list, "a list"))]

    def tuple_of(self, length: int, read: Callable[[JsonValue], Read]) -> tuple[Read, ...]:
        """Read a list of so many values."""
        items = self.items()
        if len(items) != length:
            raise self._mistake(f"a list of {length}")
        return tuple(read(item) for item in items)

    def mapping_of(self, read: Callable[[JsonValue], Read]) -> dict[str, Read]:
        """Read an object with names of any kind."""
        found = self._of(dict, "an object")
        return {key: read(JsonValue(item, self, key)) for key, item in found.items()}

    def fields(self, names: Collection[str]) -> dict[str, JsonValue]:
        """Read an object with just these names."""
        found = self._of(dict, "an object")
        for name in names:
            if name not in found:
                raise InputError(f"{JsonValue(None, self, name).name} is missing")
        for name in found.keys() - set(names):
            raise InputError(f"{JsonValue(None, self, quoted(name)).name}: no such field")
        return {name: JsonValue(found[name], self, name) for name in names}

    def optional(self, read: Callable[[JsonValue], Read]) -> Read | None:
        """Read a value that may be null."""
        return None if self._value is None else read(self)

    def _of(self, kind: type | tuple[type, ...], wanted: str) -> Any:  # noqa: ANN401
        # To Python, true is a number.
        if not isinstance(self._value, kind) or isinstance(self._value, bool):
            raise self._mistake(wanted)
        return self._value

    def _mistake(self, wanted: str) -> InputError:
        given = self._value
        if isinstance(given, list | dict):
            shown = f"{'a list' if isinstance(given, list) else 'an object'} of {len(given)}"
        elif isinstance(given, int) and given.bit_length() > _LONGEST:
            shown = f"a number of {given.bit_length()} bits"
        else:
            shown = quoted(given) if isinstance(given, str) else json.dumps(given)
        return InputError(f"{self.name} is {shown}, not {wanted}")
