"""The ROS environment of a run: a domain of its own, large images by shared memory."""

from __future__ import annotations

import fcntl
import os
import re
import time
from pathlib import Path

from tdnet._util.resources import config_dir

SHARED_MEMORY = Path("/dev/shm")
# A starting process creates the lock of its segment before it holds it.
STARTING_SECONDS = 30.0
_LOCK = re.compile(r"fast(dds|rtps)_[0-9a-f]{16}_el")
# Fast DDS 3, after Jazzy, reads the first, Fast DDS 2 the second; the other one is ignored.
_PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def with_profile(used: bool) -> dict[str, str]:
    """Return the environment of a process with or without the DDS profile for large images."""
    others = {name: value for name, value in os.environ.items() if name not in _PROFILE_VARIABLES}
    return {**others, **(_profile() if used else {})}


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
    if not any(name in os.environ for name in _PROFILE_VARIABLES):
        os.environ.update(_profile())
    return int(os.environ["ROS_DOMAIN_ID"])


def _profile() -> dict[str, str]:
    return dict.fromkeys(_PROFILE_VARIABLES, str(config_dir() / "fastdds_large_images.xml"))


def remove_orphans(folder: Path = SHARED_MEMORY) -> int:
    """Remove the shared memory of processes that were killed, as `fastdds shm clean` does.

    Each segment has a lock that its process holds while it lives. With the profile for large
    images, a segment occupies 64 MiB of memory until it is removed.

    Args:
        folder: folder of the segments.

    Returns:
        Freed bytes.
    """
    freed = 0
    for lock in folder.glob("fast*_el"):
        try:
            age = time.time() - lock.stat().st_mtime
            if _LOCK.fullmatch(lock.name) and age > STARTING_SECONDS:
                freed += _remove_if_free(lock)
        # Held, owned by another user, or already removed.
        except OSError:
            continue
    return freed


def _remove_if_free(lock: Path) -> int:
    segment = lock.with_name(lock.name.removesuffix("_el"))
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        size = segment.stat().st_size if segment.exists() else 0
        segment.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)
    return size
