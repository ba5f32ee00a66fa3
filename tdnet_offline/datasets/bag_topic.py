"""The messages of one bag topic by their number: the next one at once, any other by its time."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tdnet.errors import InputError
from tdnet_offline.bags import Bag, BagRecord, open_bag

_READ_OVER = 4
"""Messages that are sooner read over than looked up."""


class BagTopic:
    """A topic of a bag; each process that uses it opens the bag for itself.

    Args:
        path: of the bag.
        topic: its name.
        times_ns: when each message was recorded, in the order in which the bag gives them.
    """

    def __init__(self, path: Path, topic: str, times_ns: list[int]) -> None:
        self._path, self._topic, self._times = path, topic, times_ns
        self._forget()

    def _forget(self) -> None:
        self._process = 0
        self._bag: Bag | None = None
        self._records: Iterator[tuple[int, BagRecord]] = iter(())
        self._next = 0

    def message(self, number: int) -> Any:  # noqa: ANN401
        """Return a message and its type.

        Raises:
            InputError: it cannot be read or decoded.
        """
        try:
            record = self._record(number)
            return self._opened().decode(record), record.type
        except InputError:
            raise
        # The readers pass on whatever they meet in damaged bytes.
        except Exception as error:
            raise InputError(
                f"{self._path}: {self._topic} message {number} is damaged ({error})"
            ) from error

    def _record(self, number: int) -> BagRecord:
        bag = self._opened()
        if not self._next <= number <= self._next + _READ_OVER:
            start = self._times[number]
            numbers = (n for n, time in enumerate(self._times) if time >= start)
            self._records = zip(numbers, bag.records([self._topic], start), strict=False)
        for found, record in self._records:
            self._next = found + 1
            if found == number:
                return record
        raise InputError(f"{self._path}: {self._topic} has no message {number} any more")

    def _opened(self) -> Bag:
        """Open the bag once a process: a file that a parent opened is not a child's to read."""
        if self._bag is None or self._process != os.getpid():
            self._forget()
            self._process = os.getpid()
            resources = ExitStack()
            self._bag = resources.enter_context(open_bag(self._path))
            # Also when Python ends: later, when modules are gone already, closing fails.
            weakref.finalize(self, resources.close)
            self._records = enumerate(self._bag.records([self._topic]))
        return self._bag

    def __getstate__(self) -> tuple[Path, str, list[int]]:
        return self._path, self._topic, self._times

    def __setstate__(self, state: tuple[Path, str, list[int]]) -> None:
        self._path, self._topic, self._times = state
        self._forget()
