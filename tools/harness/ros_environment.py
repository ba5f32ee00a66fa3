"""The ROS environment of a run: a domain of its own, large images by shared memory."""

from __future__ import annotations

import os

from tdnet._util.resources import config_dir

# Fast DDS 3, after Jazzy, reads the first, Fast DDS 2 the second; the other one is ignored.
_PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def with_profile(used: bool) -> dict[str, str]:
    """Return the environment of a process with or without the DDS profile for large images.

    Args:
        used: whether Fast DDS uses the profile.
    """
    others = {name: value for name, value in os.environ.items() if name not in _PROFILE_VARIABLES}
    profile = str(config_dir() / "fastdds_large_images.xml")
    return {**others, **(dict.fromkeys(_PROFILE_VARIABLES, profile) if used else {})}


def enter() -> int:
    """Set the variables that are not set, for this process and its children; before `rclpy.init`.

    Returns:
        The ROS domain.
    """
    # Not the robot's domain, where a second /camera/image_raw would do harm.
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    if os.environ.get("ROS_DISTRO") == "humble":  # it has no discovery range
        os.environ.setdefault("ROS_LOCALHOST_ONLY", "1")
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    profile = config_dir() / "fastdds_large_images.xml"
    if not any(name in os.environ for name in _PROFILE_VARIABLES):
        for name in _PROFILE_VARIABLES:
            os.environ[name] = str(profile)
    return int(os.environ["ROS_DOMAIN_ID"])
