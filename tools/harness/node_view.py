"""The state of the node as its diagnostics report it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

MODEL, CAMERA = "tdnet: model", "tdnet: camera"


@dataclass(frozen=True)
class FrameCounts:
    """Frames that the node counted since it was activated."""

    received: int = 0
    segmented: int = 0
    dropped: int = 0
    refused: int = 0

    @property
    def answered(self) -> int:
        """Frames that were segmented, dropped or refused."""
        return self.segmented + self.dropped + self.refused

    @property
    def at_work(self) -> int:
        """Frames that wait or are being segmented."""
        return self.received - self.answered

    def __add__(self, other: FrameCounts) -> FrameCounts:
        return FrameCounts(
            self.received + other.received,
            self.segmented + other.segmented,
            self.dropped + other.dropped,
            self.refused + other.refused,
        )

    def __sub__(self, other: FrameCounts) -> FrameCounts:
        return FrameCounts(
            self.received - other.received,
            self.segmented - other.segmented,
            self.dropped - other.dropped,
            self.refused - other.refused,
        )


@dataclass(frozen=True)
class NodeView:
    """The node's state in one diagnostic message.

    Attributes:
        active: whether the node accepts frames.
        failure: why it cannot be configured or activated; empty: no failure.
        counts: of its frames.
        last_error: reason for the last refused frame; empty: none was refused.
        model: device, precision, input size, memory and so on, as text.
    """

    active: bool
    failure: str
    counts: FrameCounts
    last_error: str = ""
    model: Mapping[str, str] = field(default_factory=dict)


def node_view(message: DiagnosticArray) -> NodeView | None:
    """Read a diagnostic message; return None if it is of another node."""
    statuses = {status.name: status for status in message.status}
    if MODEL not in statuses:
        return None
    model = statuses[MODEL]
    camera = _values(statuses[CAMERA]) if CAMERA in statuses else {}
    names = ("received", "segmented", "dropped", "refused")
    values = _values(model)
    return NodeView(
        active=values.get("state") == "active",
        failure=model.message if model.level == DiagnosticStatus.ERROR else "",
        counts=FrameCounts(*(int(camera.get(name, 0)) for name in names)),
        last_error=camera.get("last error", ""),
        model=values,
    )


def _values(status: DiagnosticStatus) -> dict[str, str]:
    return {entry.key: entry.value for entry in status.values}
