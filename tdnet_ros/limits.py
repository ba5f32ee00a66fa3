"""From where on a measured value of a camera is a warning or an error."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad a value is; the numbers are those of `diagnostic_msgs/DiagnosticStatus`."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Limits:
    """Two limits of one value; 0 turns one off.

    Attributes:
        warn: beyond it the value is a warning.
        error: beyond it the value is an error.
    """

    warn: float = 0.0
    error: float = 0.0

    def passed(self, value: float) -> tuple[Severity, float]:
        """Judge a value that should be small: how bad it is, and the limit that it is above."""
        if self.error and value > self.error:
            return Severity.ERROR, self.error
        if self.warn and value > self.warn:
            return Severity.WARN, self.warn
        return Severity.OK, 0.0

    def missed(self, value: float) -> tuple[Severity, float]:
        """Judge a value that should be large: how bad it is, and the limit that it is below."""
        if value < self.error:
            return Severity.ERROR, self.error
        if value < self.warn:
            return Severity.WARN, self.warn
        return Severity.OK, 0.0


@dataclass(frozen=True)
class DiagnosticLimits:
    """The parameters ``diagnostics.NAME_warn`` and ``diagnostics.NAME_error``.

    Attributes:
        silence: seconds without a frame from the camera.
        age: seconds from a frame's stamp to the publication of its outputs, 95th percentile.
        rate: segmented frames a second; judged from below.
        dropped: share, 0 to 1, of the frames that a newer one overtook before their turn.
        lost: share, 0 to 1, of the camera's frames that did not arrive; only a warning.
    """

    silence: Limits = Limits(3.0, 10.0)
    age: Limits = Limits(0.5, 2.0)
    rate: Limits = Limits()
    dropped: Limits = Limits(0.9)
    lost: Limits = Limits(0.1)
