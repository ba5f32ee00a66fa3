"""How old a frame is: its stamp against the node's clock, where the two can be compared."""

from __future__ import annotations

import math

from std_msgs.msg import Header

from tdnet_ros.camera.stage_statistics import Percentiles

# Nobody waits so long for a frame: the stamps are those of a recording, or of a camera whose
# clock was never set.
OLDEST_MS = 60_000.0
# A simulated clock stands still between two of its messages, and clocks of two machines differ.
AHEAD_MS = 100.0


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


def explain_age(age: Percentiles | None, now_ns: int) -> str:
    """Say why the ages of frames say nothing; empty where they do.

    Args:
        age: of published frames; None: of none is it known.
        now_ns: of the node's clock.
    """
    if not now_ns:
        return "age unknown: use_sim_time is set, but nobody publishes /clock"
    if age is None or -AHEAD_MS <= age.p50 <= OLDEST_MS:
        return ""
    seconds = abs(age.p50) / 1e3
    where = "behind" if age.p50 > 0 else "ahead of"
    return (
        f"age unknown: stamps are not of this clock, {seconds:.3g} s {where} it; set use_sim_time "
        "for a bag or a simulation (and play the bag with --clock), or synchronise the clocks of "
        "camera and node"
    )
