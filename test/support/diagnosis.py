"""The diagnostics of the node under test."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from support.ros_graph import RosGraph, diagnostic_values, wait_for


class Diagnosis:
    """The newest diagnostic message of a graph."""

    def __init__(self, graph: RosGraph) -> None:
        self._listener = graph.listen(DiagnosticArray, "/diagnostics")

    def latest(self) -> DiagnosticArray:
        """Wait for the newest message."""
        self._listener.wait()
        return self._listener.messages[-1]

    def wait(self, name: str, part: str) -> DiagnosticStatus:
        """Wait until the message of a status contains a text; return the status."""

        def find() -> DiagnosticStatus | None:
            statuses = self.latest().status
            found = [s for s in statuses if s.name == name and part in s.message]
            return found[0] if found else None

        return wait_for(find, f"{name} to say {part!r}")

    def values(self, name: str, **expected: str) -> dict[str, str]:
        """Wait until the values of a status include the expected ones; return all values."""

        def find() -> dict[str, str] | None:
            found = diagnostic_values(self.wait(name, ""))
            return found if expected.items() <= found.items() else None

        return wait_for(find, f"{name} to have {expected}")
