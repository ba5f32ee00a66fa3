"""What the demo plays: each source is a camera topic in a bag."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from tdnet.errors import InputError
from tdnet_offline.bags import BagWriter, image_message, message_types
from tdnet_offline.frames import RefusedFrame, open_source
from tdnet_offline.frames.video_file import VideoFile
from tdnet_offline.progress import show_progress
from tdnet_offline.street import StreetDrive
from tdnet_offline.street_bag import FRAME_ID, IMAGE_TOPIC, stamp_ns, write_street_bag
from tools.demo.camera_bag import CameraBag

# Training uses other seeds: the scores are those of a street that the network has never seen.
STREET_SEED = 1_000_123
STREET_FRAMES = 120
STREET_RATE = 10.0
STREET_NOTE = (
    f"A synthetic drive, seed {STREET_SEED}, with the exact label of every pixel. "
    "Training has not seen this street."
)
HIGHWAY_VIDEO = Path(__file__).parent / "highway" / "solidWhiteRight.mp4"
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


def own_sources(street: Path, highway: Path) -> list[Source]:
    """Write a synthetic street drive with its exact labels, and the motorway video.

    Args:
        street: Folder of the first one's bag.
        highway: Folder of the other one's.
    """
    drive = StreetDrive(STREET_SEED, rate=STREET_RATE)
    with show_progress("drawing a street", STREET_FRAMES) as progress:
        write_street_bag(
            street / "input", drive, STREET_FRAMES, on_frame=lambda: progress.advance()
        )
    return [
        Source("street", "Drawn street", STREET_NOTE, CameraBag(street / "input", IMAGE_TOPIC)),
        Source(
            "highway",
            "Real motorway",
            HIGHWAY_NOTE,
            write_frames(HIGHWAY_VIDEO, None, highway / "input"),
        ),
    ]


def bag_source(path: Path, topic: str | None) -> Source:
    """Return a bag of the user; see `CameraBag`."""
    return Source("bag", f"Bag {path.name or path}", "", CameraBag(path, topic))


def frames_source(name: str, path: Path, rate: float | None, folder: Path) -> Source:
    """Write images or a video of the user as a bag into a folder; see `write_frames`."""
    title = f"Images of {path.name}" if name == "images" else f"Video {path.name}"
    return Source(name, title, "", write_frames(path, rate, folder / "input"))


def write_frames(path: Path, rate: float | None, bag_path: Path) -> CameraBag:
    """Write images or the first `MAX_VIDEO_SECONDS` of a video as a bag.

    Args:
        path: Folder of images, or a video file.
        rate: Frames a second; None: the rate of the video, `DEFAULT_RATE` for images.
        bag_path: Folder of the bag; must not exist.

    Raises:
        InputError: The path or a frame of it cannot be read.
    """
    frames, types = open_source(path), message_types()
    rate = rate or frames.frame_rate or DEFAULT_RATE
    limit = round(MAX_VIDEO_SECONDS * rate) if isinstance(frames, VideoFile) else None
    with (
        BagWriter(bag_path, types) as bag,
        show_progress(f"reading {path.name}", frames.num_frames) as progress,
    ):
        for index, frame in enumerate(islice(frames, limit)):
            if isinstance(frame, RefusedFrame):
                raise InputError(f"{frames.description}: {frame.name}: {frame.reason}")
            stamp = stamp_ns(index, rate)
            bag.write(
                IMAGE_TOPIC, image_message(types, frame.image, "rgb8", stamp, FRAME_ID), stamp
            )
            progress.advance()
    return CameraBag(bag_path, IMAGE_TOPIC)
