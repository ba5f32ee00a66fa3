"""Hardware and software of a measurement."""

from __future__ import annotations

import os
import platform

import cv2
import rclpy

from tdnet_offline.provenance import hardware, versions


def system_info() -> dict[str, str]:
    """Return hardware and versions by name."""
    distribution = os.environ.get("ROS_DISTRO") or os.environ.get("TDNET_ROS") or "unknown"
    try:
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        system = platform.platform()
    software = versions()
    return {
        "Hardware": hardware(),
        "Memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
        "System": system,
        "ROS 2": f"{distribution}, {rclpy.get_rmw_implementation_identifier()}",
        "Python": software["python"],
        "PyTorch": software["torch"],
        "OpenCV": cv2.__version__,
        "tdnet_ros": software["tdnet"],
    }
