"""What ends a soak before its time."""

from tdnet.errors import TdnetError


class SoakError(TdnetError):
    """The soak cannot go on; the message says why."""
