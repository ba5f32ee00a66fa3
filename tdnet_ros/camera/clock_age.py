"""How old a frame is: its stamp against the node's clock."""

from __future__ import annotations

import math

from std_msgs.msg import Header


def stamp_ns(header: Header) -> int:
    """Give a stamp in nanoseconds."""
    # rclpy's Time refuses some stamps that a driver may send, such as those before 1970.
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def age_ms(now_ns: int, stamp_ns: int) -> float:
    """Return the milliseconds from a stamp to now; NaN without a stamp or a started clock.

    Args:
        now_ns: of the node's clock: 0 with `use_sim_time` before the first `/clock`.
        stamp_ns: of the frame: 0 where the driver sets none.
    """
    return (now_ns - stamp_ns) / 1e6 if now_ns and stamp_ns else math.nan
