"""The demo: a bag through the real node over ROS topics, recorded, measured, shown on a page."""

from tdnet.errors import TdnetError


class DemoError(TdnetError):
    """The demo cannot go on; the message says why and what to do."""
