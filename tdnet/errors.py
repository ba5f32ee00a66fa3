"""The exceptions of the project: each message says what was given, what is allowed, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_LINE = 2000
MAX_QUOTED = 64


class TdnetError(Exception):
    """Base of every error that a user of the project can cause and mend.

    Args:
        message: becomes one line, since parts of it may come from a stranger's file or message.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message, MAX_LINE))


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
        close = difflib.get_close_matches(given[:MAX_QUOTED], names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        super().__init__(f"unknown {kind} {quoted(given)}; valid: {', '.join(names)}.{hint}")


class WeightsError(TdnetError):
    """A weights file that is missing, damaged, unsafe, or made for another network."""


class ClassMapError(TdnetError):
    """A class map that cannot be used; the message names file, line and field."""


class DeviceError(TdnetError):
    """A device or precision that this machine does not have."""


class MissingPackageError(TdnetError):
    """A Python package that a choice needs is not installed, or too old.

    Args:
        needed_by: the choice, such as ``"runtime onnxruntime"``.
        package: what is needed.
        remedy: how to get it.
    """

    def __init__(self, needed_by: str, package: str, remedy: str) -> None:
        super().__init__(f"{needed_by} needs the Python package {package}: {remedy}")


def one_line(text: object, length: int = MAX_LINE) -> str:
    r"""Give a text as one line of at most so many characters that no terminal acts upon.

    Control characters, line ends among them, and what turns the direction of writing become
    escapes such as ``\x1b``; spaces in a row become one.
    """
    # More than is shown need not be looked at: a text may be as long as a message.
    words = " ".join(str(text)[: 4 * length].split())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words[: length + 1])
    return shown if len(shown) <= length else f"{shown[: length - 4]} ..."


def first_line(error: BaseException) -> str:
    """Give what an error says first; libraries add traces of their own below it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def quoted(text: str) -> str:
    """Give a stranger's text as an error shows it: in quotes, escaped, at most the start of it."""
    return repr(text) if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]!r}..."
