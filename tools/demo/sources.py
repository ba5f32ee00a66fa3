"""What the demo plays: each source is a camera topic in a bag."""

from __future__ import annotations

import shutil
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
from tools.harness import ToolError

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
# A file in each folder of results, which the next run removes.
_MARK = ".tdnet-demo"


@dataclass(frozen=True)
class Source:
    """One recording to play.

    Attributes:
        folder: Takes its results.
        title: One line.
        note: Sentences below the title: labels, credit and licence. May be empty.
        bag: The camera messages.
    """

    folder: Path
    title: str
    note: str
    bag: CameraBag


def street_source(output: Path) -> Source:
    """Write a synthetic street drive with its exact labels as a bag."""
    folder = emptied(output / "street")
    drive = StreetDrive(STREET_SEED, rate=STREET_RATE)
    with show_progress("drawing a street", STREET_FRAMES) as progress:
        write_street_bag(folder / "input", drive, STREET_FRAMES, on_frame=progress.advance)
    return Source(folder, "Drawn street", STREET_NOTE, CameraBag(folder / "input", IMAGE_TOPIC))


def frames_source(
    folder: Path, title: str, note: str, path: Path, rate: float | None = None
) -> Source:
    """Write images or the first `MAX_VIDEO_SECONDS` of a video as a bag.

    Args:
        folder: Takes the bag and the results; emptied.
        title: See `Source`.
        note: See `Source`.
        path: Folder of images, or a video file.
        rate: Frames a second; None: the rate of the video, `DEFAULT_RATE` for images.

    Raises:
        InputError: The path or a frame of it cannot be read.
    """
    bag_path = emptied(folder) / "input"
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
            message = image_message(types, frame.image, "rgb8", stamp, FRAME_ID)
            bag.write(IMAGE_TOPIC, message, stamp)
            progress.advance()
    return Source(folder, title, note, CameraBag(bag_path, IMAGE_TOPIC))


def emptied(folder: Path) -> Path:
    """Remove the results of an earlier run, so that none is taken for a result of this one.

    Raises:
        ToolError: The folder is not one of an earlier run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / _MARK
    old = [path for path in folder.iterdir() if path != mark]
    if old and not mark.exists():
        raise ToolError(
            f"{folder} is not a folder of this demo, or an interrupted one: remove it, or choose "
            "another --output"
        )
    # The mark stays: after an interrupted removal the next run continues it.
    mark.touch()
    for path in old:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return folder
