"""What the diagnostics found: a sentence that says what is wrong and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from tdnet_ros.limits import Severity


@dataclass(frozen=True)
class Issue:
    """One thing found.

    Attributes:
        cause: what it is, in words that stay the same while its text changes with what is
            measured.
        text: what is so, and what to do.
        severity: how bad it is; OK: it is meant to be so.
    """

    cause: str
    text: str
    severity: Severity = Severity.WARN
