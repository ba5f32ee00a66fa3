"""One log line for each thing that the diagnostics find."""

from __future__ import annotations

from collections.abc import Iterable

from rclpy.impl.rcutils_logger import RcutilsLogger

from tdnet_ros.diagnostics.issues import Issue, Severity
from tdnet_ros.rclpy_tools.log_throttle import LogThrottle

# Seconds that a cause must last before it is logged: who just started has not found its peers.
SETTLED_AFTER = 1.5


class IssueLog:
    """Logs a issue once, when it has lasted, and again only after it was gone.

    Args:
        logger: of the node.
        throttle: what else is logged of the same thing passes it, too.
        now: when the watch begins: seconds of a steady clock.
    """

    def __init__(self, logger: RcutilsLogger, throttle: LogThrottle, now: float) -> None:
        self._logger = logger
        self._throttle = throttle
        self._looked_at = now
        self._since: dict[str, float] = {}
        self._logged: set[str] = set()

    def note(self, issues: Iterable[Issue], now: float) -> None:
        """Log what is due of everything that a look found."""
        found = {issue.cause: issue for issue in issues}
        # Nobody knows when it began between two looks; a long period must not delay the line.
        self._since = {cause: self._since.get(cause, self._looked_at) for cause in found}
        self._logged &= found.keys()
        self._looked_at = now
        for cause, issue in found.items():
            settled = now - self._since[cause] >= SETTLED_AFTER
            if cause in self._logged or not settled or not self._throttle.allows(issue.text):
                continue
            self._logged.add(cause)
            if issue.severity is Severity.OK:
                self._logger.info(issue.text)
            elif issue.severity is Severity.WARN:
                self._logger.warning(issue.text)
            else:
                self._logger.error(issue.text)
