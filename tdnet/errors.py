"""The exceptions of the project: each message says what was given, what is allowed, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TdnetError(Exception):
    """Base of every error that a user of the project can cause and mend."""


class InputError(TdnetError, ValueError):
    """An image, a tensor, a file or a value that the called function cannot use."""


class UnsupportedEncodingError(InputError):
    """An image encoding that is known, but needs another library to be decoded."""


class UnknownNameError(TdnetError, ValueError):
    """A name that is not in the list of valid ones.

    Args:
        kind: what the name stands for, such as ``"variant"``.
        given: the name as the user typed it.
        valid: every valid name.
    """

    def __init__(self, kind: str, given: str, valid: Iterable[str]) -> None:
        names = list(valid)
        close = difflib.get_close_matches(given, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"unknown {kind} {given!r}; valid: {', '.join(names)}.{hint}")


class WeightsError(TdnetError):
    """A weights file that is missing, damaged, unsafe, or made for another network."""


class ClassMapError(TdnetError):
    """A class map that cannot be used; the message names file, line and field."""


class DeviceError(TdnetError):
    """A device or precision that this machine does not have."""
