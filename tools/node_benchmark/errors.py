"""What ends a measurement of the node before its time."""

from tdnet.errors import TdnetError


class NodeBenchmarkError(TdnetError):
    """The node cannot be measured; the message says why."""
