"""Hardware and software of a measurement."""

from __future__ import annotations

import os
import platform

import cv2
import rclpy
import torch

from tdnet import __version__
from tdnet_offline.provenance import processor


def system_info() -> dict[str, str]:
    """Return hardware and versions by name."""
    distribution = os.environ.get("ROS_DISTRO") or os.environ.get("TDNET_ROS") or "unknown"
    return {
        "Processor": f"{processor()}, {os.cpu_count()} logical cores",
        "Memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
        "GPU": _gpu(),
        "System": _system(),
        "ROS 2": f"{distribution}, {rclpy.get_rmw_implementation_identifier()}",
        "Python": platform.python_version(),
        "PyTorch": torch.__version__,
        "OpenCV": cv2.__version__,
        "tdnet_ros": __version__,
    }


def _gpu() -> str:
    if not torch.cuda.is_available():
        return "none"
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform()
