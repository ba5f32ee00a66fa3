"""The exceptions of the project. A message has the given value, the allowed ones, the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_LINE = 2000
MAX_QUOTED = 64


class TdnetError(Exception):
    """Base of all errors that a user can cause and fix.

    Args:
        message: reduced to one line, since parts of it may come from an untrusted file.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message, MAX_LINE))


class InputError(TdnetError, ValueError):
    """An image, tensor, file or value that is not allowed."""


class UnsupportedEncodingError(InputError):
    """An image encoding that is known, but not decoded here."""


class UnknownNameError(TdnetError, ValueError):
    """A name that is not valid.

    Args:
        kind: kind of the name, such as ``"variant"``.
        given: the given name.
        valid: all valid names.
    """

    def __init__(self, kind: str, given: str, valid: Iterable[str]) -> None:
        names = list(valid)
        close = nearest_name(given, names)
        hint = f" Did you mean {close!r}?" if close else ""
        super().__init__(f"unknown {kind} {quoted(given)}; valid: {', '.join(names)}.{hint}")


class WeightsError(TdnetError):
    """A weights file is missing, damaged, unsafe, or made for another network."""


class ClassMapError(TdnetError):
    """A class map is not valid; with file, line and field."""


class DeviceError(TdnetError):
    """The machine lacks a device or precision, or the device failed."""


class MissingPackageError(TdnetError):
    """A Python package that an option needs is not installed, or too old.

    Args:
        needed_by: the option, such as ``"runtime onnxruntime"``.
        package: required package.
        remedy: how to install it.
    """

    def __init__(self, needed_by: str, package: str, remedy: str) -> None:
        super().__init__(f"{needed_by} needs the Python package {package}: {remedy}")


def one_line(text: object, length: int = MAX_LINE) -> str:
    r"""Return a text as one line of at most `length` printable characters.

    Control characters, line ends and changes of the writing direction become escapes such as
    ``\x1b``; repeated spaces become one.
    """
    # The rest is cut off anyway, and a text may be as long as a message.
    words = " ".join(str(text)[: 4 * length].split())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words[: length + 1])
    return shown if len(shown) <= length else f"{shown[: length - 4]} ..."


def first_line(error: BaseException) -> str:
    """Return the first line of an error; libraries add traces of their own below it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def nearest_name(given: str, names: Iterable[str]) -> str | None:
    """Return the name that a mistyped one is near to; None: none is near."""
    return next(iter(difflib.get_close_matches(given[:MAX_QUOTED], list(names), n=1)), None)


def quoted(text: str) -> str:
    """Return an untrusted text for a message: in quotes, escaped, shortened."""
    return repr(text) if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]!r}..."
