"""What is played: a user's bag, or a bag made of a folder of images or of a synthetic drive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from demo.camera_bag import CameraBag
from tdnet.errors import InputError
from tdnet_offline.bags import BagWriter, image_message, message_types
from tdnet_offline.frames import RefusedFrame, open_source
from tdnet_offline.street import StreetDrive
from tdnet_offline.street_bag import FRAME_ID, IMAGE_TOPIC, stamp_ns, write_street_bag

# Training takes other seeds, so that the scores are those of a street that the network never saw.
STREET_SEED = 1_000_123
STREET_FRAMES = 120
STREET_RATE = 10.0


def bag_of_images(folder: Path, rate: float, path: Path) -> CameraBag:
    """Write the images of a folder, in natural order of their names, as a bag.

    Args:
        folder: of PNG and JPEG images.
        rate: frames a second.
        path: of the bag; must not exist.

    Raises:
        InputError: there are no images, or one of them cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of images")
    types = message_types()
    source = open_source(folder)
    with BagWriter(path, types) as bag:
        for index, frame in enumerate(source):
            if isinstance(frame, RefusedFrame):
                raise InputError(f"{folder / frame.name}: {frame.reason}")
            stamp = stamp_ns(index, rate)
            bag.write(
                IMAGE_TOPIC, image_message(types, frame.image, "rgb8", stamp, FRAME_ID), stamp
            )
    return CameraBag(path, IMAGE_TOPIC)


def bag_of_street(path: Path, on_frame: Callable[[], None]) -> CameraBag:
    """Write a synthetic street drive with its true labels as a bag.

    Args:
        path: of the bag; must not exist.
        on_frame: called after every frame.
    """
    drive = StreetDrive(STREET_SEED, rate=STREET_RATE)
    write_street_bag(path, drive, STREET_FRAMES, on_frame=on_frame)
    return CameraBag(path, IMAGE_TOPIC)
