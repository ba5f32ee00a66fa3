"""Parts shared by the demo, the soak and the node benchmark, which run the node's process."""

from tdnet.errors import TdnetError


class ToolError(TdnetError):
    """A run of a tool cannot continue; the message states why."""
