"""The log of the node: lines of bounded number and length, and records of the library."""

from __future__ import annotations

import logging
import re
import threading
import time

from rclpy.impl.rcutils_logger import RcutilsLogger

from tdnet import errors
from tdnet.errors import TdnetError

PERIOD = 10.0
MAX_TEXTS = 20
MAX_LENGTH = 500

_NUMBER = re.compile(r"\d+")


class LogThrottle:
    """Passes a text once in a period, regardless of the numbers in it; from any thread.

    rclpy's own throttle counts by line of code, so one cause would suppress another. At most
    `MAX_TEXTS` pass in a period, in seconds: a hostile camera can put anything into a text.
    """

    def __init__(self, period: float = PERIOD) -> None:
        self._period = period
        self._lock = threading.Lock()
        self._passed: dict[str, float] = {}

    def allows(self, text: str) -> bool:
        """Return whether to log a text now."""
        now = time.monotonic()
        key = _NUMBER.sub("#", text)
        with self._lock:
            self._passed = {k: t for k, t in self._passed.items() if now - t < self._period}
            if key in self._passed or len(self._passed) >= MAX_TEXTS:
                return False
            self._passed[key] = now
            return True


def one_line(problem: object) -> str:
    """Return an error or a text as one line of bounded length without control characters."""
    return errors.one_line(problem, MAX_LENGTH)


def describe(error: BaseException) -> str:
    """Return an error as one line, with its type unless it is a TdnetError."""
    return one_line(error if isinstance(error, TdnetError) else f"{type(error).__name__}: {error}")


class RosLogHandler(logging.Handler):
    """Passes records of the library to a node's logger, which also publishes them on /rosout."""

    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        text = one_line(record.getMessage())
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)
