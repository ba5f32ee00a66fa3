"""What ends the demo before its page is written."""

from tdnet.errors import TdnetError


class DemoError(TdnetError):
    """The demo cannot go on; the message says why and what to do."""
