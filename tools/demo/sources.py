"""What the demo plays: each source is a camera topic in a bag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tdnet.errors import InputError
from tdnet_offline.bags import BagWriter, image_message, message_types
from tdnet_offline.frames import FrameSource, RefusedFrame
from tdnet_offline.frames.video_file import VideoFile
from tdnet_offline.street import StreetDrive
from tdnet_offline.street_bag import FRAME_ID, IMAGE_TOPIC, stamp_ns, write_street_bag
from tools.demo.camera_bag import CameraBag

# Training uses other seeds: the scores are those of a street that the network has never seen.
STREET_SEED = 1_000_123
STREET_FRAMES = 120
STREET_RATE = 10.0
HIGHWAY_VIDEO = Path(__file__).parent / "highway" / "solidWhiteRight.mp4"
STREET_TITLE = "Drawn street"
STREET_NOTE = (
    f"A synthetic drive, seed {STREET_SEED}, with the exact label of every pixel. "
    "Training has not seen this street."
)
HIGHWAY_TITLE = "Real motorway"
HIGHWAY_NOTE = (
    "No labels exist: accuracy is not measured. Sent at the camera's 25 frames a second; "
    "frames superseded by a newer one are dropped. "
    "Video: Udacity, Inc., MIT licence (tools/demo/highway/LICENSE)."
)
# Inputs and outputs are kept uncompressed: a second of full HD at 30 Hz takes up to 500 MB.
MAX_VIDEO_SECONDS = 30.0
DEFAULT_RATE = 17.0


@dataclass(frozen=True)
class Source:
    """One recording to play.

    Attributes:
        name: Name of its folder in the output.
        title: One line.
        note: Sentences below the title: labels, credit and licence. May be empty.
        bag: The camera messages.
    """

    name: str
    title: str
    note: str
    bag: CameraBag


def write_street(path: Path, on_frame: Callable[[], None]) -> CameraBag:
    """Write a synthetic street drive with its exact labels as a bag.

    Args:
        path: Folder of the bag; must not exist.
        on_frame: Called after every frame.
    """
    drive = StreetDrive(STREET_SEED, rate=STREET_RATE)
    write_street_bag(path, drive, STREET_FRAMES, on_frame=on_frame)
    return CameraBag(path, IMAGE_TOPIC)


def write_frames(
    frames: FrameSource, rate: float | None, path: Path, on_frame: Callable[[], None]
) -> CameraBag:
    """Write images or the first `MAX_VIDEO_SECONDS` of a video as a bag.

    Args:
        frames: Images of a folder, or a video.
        rate: Frames a second; None: the rate of the video, `DEFAULT_RATE` for images.
        path: Folder of the bag; must not exist.
        on_frame: Called after every frame.

    Raises:
        InputError: A frame cannot be read.
    """
    types = message_types()
    rate = rate or frames.frame_rate or DEFAULT_RATE
    limit = round(MAX_VIDEO_SECONDS * rate) if isinstance(frames, VideoFile) else None
    with BagWriter(path, types) as bag:
        for index, frame in enumerate(islice(frames, limit)):
            if isinstance(frame, RefusedFrame):
                raise InputError(f"{frames.description}: {frame.name}: {frame.reason}")
            stamp = stamp_ns(index, rate)
            message = image_message(types, frame.image, "rgb8", stamp, FRAME_ID)
            bag.write(IMAGE_TOPIC, message, stamp)
            on_frame()
    return CameraBag(path, IMAGE_TOPIC)
