"""Write the synthetic street drive as a bag: images, camera info and ground truth labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tdnet_offline.bags import BagWriter, camera_info_message, image_message, message_types
from tdnet_offline.street import StreetDrive

IMAGE_TOPIC = "/camera/image_raw"
LABEL_TOPIC = "/camera/labels"
FRAME_ID = "camera"
START_NS = 1_700_000_000_000_000_000
"""Stamp of frame 0, so that the same seed gives the same bag."""


def stamp_ns(index: int, rate: float) -> int:
    """Return the stamp in nanoseconds of frame ``index`` at ``rate`` frames a second."""
    return START_NS + round(index * 1_000_000_000 / rate)


def info_topic(image_topic: str) -> str:
    """Return the topic of the camera info, by convention beside that of the images."""
    return f"{image_topic.rpartition('/')[0]}/camera_info"


def write_street_bag(
    path: Path,
    drive: StreetDrive,
    frames: int,
    *,
    storage: str = "sqlite3",
    image_topic: str = IMAGE_TOPIC,
    label_topic: str = LABEL_TOPIC,
    depth_topic: str = "",
    on_frame: Callable[[], None] = lambda: None,
) -> None:
    """Write the first frames of a drive; image, labels and camera info share their stamps.

    Args:
        path: folder of the bag; it must not exist.
        drive: source of the frames and their rate.
        frames: number of frames.
        storage: "sqlite3" or "mcap".
        image_topic: of the rgb8 images.
        label_topic: of the mono8 Cityscapes train ids, 255 for none.
        depth_topic: of the exact depth, 32FC1 in metres; empty: without it.
        on_frame: called after every frame.

    Raises:
        InputError: the folder exists, or the storage is not known.
    """
    types = message_types()
    matrix = drive.intrinsics.matrix()
    with BagWriter(path, types, storage) as bag:
        for index in range(frames):
            stamp = stamp_ns(index, drive.rate)
            frame = drive.frame(index, with_depth=bool(depth_topic))
            image = image_message(types, frame.image, "rgb8", stamp, FRAME_ID)
            info = camera_info_message(types, drive.size, matrix, stamp, FRAME_ID)
            labels = image_message(types, frame.labels, "mono8", stamp, FRAME_ID)
            bag.write(image_topic, image, stamp)
            bag.write(info_topic(image_topic), info, stamp)
            bag.write(label_topic, labels, stamp)
            if frame.depth is not None:
                depth = image_message(types, frame.depth, "32FC1", stamp, FRAME_ID)
                bag.write(depth_topic, depth, stamp)
            on_frame()
