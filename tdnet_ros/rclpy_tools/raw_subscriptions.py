"""Check whether the middleware delivers messages as bytes."""

from __future__ import annotations

import inspect

from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier

# An option of subscriptions in an rclpy whose `uint8[]` fields may be buffers of another device.
BUFFER_OPTION = "acceptable_buffer_backends"


def delivers_bytes() -> bool:
    """Return whether a subscription with `raw=True` receives messages with a `uint8[]` field.

    From Lyrical on, Fast DDS sends these messages on a second topic for buffers, which a raw
    subscription does not read (rmw_fastrtps 9.4; fixed in 9.5, which Lyrical does not have).
    Without `raw=True` it receives them, and the field is an array as before.
    """
    has_buffers = BUFFER_OPTION in inspect.signature(Node.create_subscription).parameters
    return not (has_buffers and get_rmw_implementation_identifier() == "rmw_fastrtps_cpp")
