"""Issues that the checks find, and the log lines for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from rclpy.impl.rcutils_logger import RcutilsLogger

from tdnet_ros.rclpy_tools.node_log import LogThrottle

# Seconds that an issue must last before it is logged: a new node has not discovered its peers.
SETTLED_AFTER = 1.5


class Severity(IntEnum):
    """Severity of an issue; the numbers are those of `diagnostic_msgs/DiagnosticStatus`."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Issue:
    """One issue.

    Attributes:
        cause: Identifies the issue; does not change with the measured values.
        text: What is wrong, and what to do.
        severity: OK: a note, nothing is wrong.
        final: Later checks are skipped: they would report consequences of this issue.
    """

    cause: str
    text: str
    severity: Severity = Severity.WARN
    final: bool = False


def summarize(issues: Sequence[Issue], working: str) -> tuple[Severity, str]:
    """Return severity and message of a status: `working` and notes if nothing is wrong."""
    severity = max((issue.severity for issue in issues), default=Severity.OK)
    shown = [issue.text for issue in issues if issue.severity is not Severity.OK or issue.final]
    return severity, "; ".join(shown or [working, *(issue.text for issue in issues)])


class IssueLog:
    """Logs an issue once when it has lasted, and again only after it was gone.

    The observation starts at `now`: seconds of a steady clock.
    """

    def __init__(self, logger: RcutilsLogger, throttle: LogThrottle, now: float) -> None:
        self._logger = logger
        self._throttle = throttle
        self._updated = now
        self._since: dict[str, float] = {}
        self._logged: set[str] = set()

    def update(self, issues: Iterable[Issue], now: float) -> None:
        """Log the issues that are due, given everything that is wrong now."""
        found = {issue.cause: issue for issue in issues}
        # An issue may have begun at any time since the last update; a long period must not delay
        # the log line.
        self._since = {cause: self._since.get(cause, self._updated) for cause in found}
        self._logged &= found.keys()
        self._updated = now
        for cause, issue in found.items():
            settled = now - self._since[cause] >= SETTLED_AFTER
            if cause not in self._logged and settled and self._throttle.allows(issue.text):
                self._logged.add(cause)
                # Three lines: rclpy's logger refuses another severity from the same one.
                if issue.severity is Severity.OK:
                    self._logger.info(issue.text)
                elif issue.severity is Severity.WARN:
                    self._logger.warning(issue.text)
                else:
                    self._logger.error(issue.text)
