"""Issues that the diagnostics report: severity, text, and the limits of measured values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from tdnet_ros.parameters import Limits


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
    """

    cause: str
    text: str
    severity: Severity = Severity.WARN


def beyond(limits: Limits, value: float) -> tuple[Severity, float]:
    """Return the severity of a measured value and the limit that it is beyond."""
    for severity, limit in ((Severity.ERROR, limits.error), (Severity.WARN, limits.warn)):
        if limit and (value < limit if limits.is_minimum else value > limit):
            return severity, limit
    return Severity.OK, 0.0
