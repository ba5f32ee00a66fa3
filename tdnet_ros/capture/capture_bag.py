"""Writes a capture as a bag with the reason inside: completely or not at all, within the quota."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from tdnet._util.packages import require
from tdnet.errors import TdnetError
from tdnet.settings import SegmenterSettings
from tdnet_ros.capture.ring_buffer import RawFrame
from tdnet_ros.capture.rules import Reason
from tdnet_ros.parameter_groups import CaptureSettings

MEBIBYTE = 1024 * 1024
# Humble cannot read the metadata of a later version.
_METADATA_VERSION: Literal[8] = 8
_TEXT = "std_msgs/msg/String"
# A killed node leaves a bag that is half written; another node may write one into this folder.
_STALE_SECONDS = 3600.0


class CaptureError(TdnetError):
    """A capture that cannot be written."""


@dataclass(frozen=True)
class Capture:
    """The frames of one camera that are to be written.

    Attributes:
        camera: its name; empty: the only one.
        topic: of its images.
        message_type: of them, such as ``sensor_msgs/msg/Image``.
        reason_topic: of the reason, a ``std_msgs/msg/String`` with JSON.
        reason: why they are written.
        stamp_ns: of the frame that the reason is about.
        frames: the oldest first; at least one.
        settings: of the captures.
        model: of the node.
    """

    camera: str
    topic: str
    message_type: str
    reason_topic: str
    reason: Reason
    stamp_ns: int
    frames: tuple[RawFrame, ...]
    settings: CaptureSettings
    model: SegmenterSettings

    @property
    def name(self) -> str:
        """Name of the bag: camera, UTC time of the newest frame, rule."""
        milliseconds = self.frames[-1].time_ns // 1_000_000
        moment = datetime.fromtimestamp(milliseconds / 1e3, timezone.utc)
        text = f"{moment:%Y%m%dT%H%M%S}{milliseconds % 1000:03d}Z"
        return f"{self.camera or 'camera'}-{text}-{self.reason.rule}"

    @property
    def summary(self) -> str:
        """What it holds, in words."""
        seconds = (self.frames[-1].time_ns - self.frames[0].time_ns) / 1e9
        return f"{len(self.frames)} frames, {seconds:.1f} s, of {self.topic} ({self.reason.text})"

    def reason_json(self) -> str:
        """Return what is written on the topic of the reason."""
        return json.dumps(
            {
                **self.reason._asdict(),
                "camera": self.camera,
                "topic": self.topic,
                "stamp_ns": self.stamp_ns,
                "variant": self.model.variant,
                "weights": self.model.weights,
                "class_map": self.model.class_map,
            }
        )


def prepare(settings: CaptureSettings) -> str:
    """Check that captures can be written, and remove what a killed node left half-written.

    Returns:
        The state of the folder, in words.

    Raises:
        TdnetError: the package that writes bags is missing, or the folder cannot be written.
    """
    _require_rosbags()
    folder = Path(settings.folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for partial in folder.glob(".*.partial"):
            if time.time() - partial.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(partial, ignore_errors=True)
        used = _size(folder) / MEBIBYTE
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(folder, PermissionError(13, os.strerror(13)))
    return (
        f"captures are written to {folder}, where {used:.0f} of capture.quota "
        f"{settings.quota:g} MiB are used"
    )


def write(capture: Capture) -> Path:
    """Write a capture; return the folder of the bag.

    Raises:
        TdnetError: it does not fit into the quota, or cannot be written; nothing of it remains.
    """
    _require_rosbags()
    folder = Path(capture.settings.folder)
    path = folder / capture.name
    partial = folder / f".{capture.name}.{os.getpid()}.partial"
    try:
        partial.mkdir(parents=True)
        _check_quota(folder, capture)
        _write_bag(partial / path.name, capture)
        os.rename(partial / path.name, path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def _write_bag(path: Path, capture: Capture) -> None:
    # Only this feature needs it.
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    # Humble's messages are the same on the wire as those of newer distributions.
    types = get_typestore(Stores.ROS2_HUMBLE)
    with Writer(path, version=_METADATA_VERSION, storage_plugin=StoragePlugin.MCAP) as bag:
        images = bag.add_connection(capture.topic, capture.message_type, typestore=types)
        reason = bag.add_connection(capture.reason_topic, _TEXT, typestore=types)
        for frame in capture.frames:
            bag.write(images, frame.time_ns, frame.serialized())
        text = types.types[_TEXT](data=capture.reason_json())
        bag.write(reason, capture.frames[-1].time_ns, types.serialize_cdr(text, _TEXT))


def _check_quota(folder: Path, capture: Capture) -> None:
    size = sum(frame.size for frame in capture.frames) / MEBIBYTE
    quota = capture.settings.quota
    if size > quota:
        raise CaptureError(
            f"a capture of {size:.1f} MiB does not fit into capture.quota {quota:g} MiB: raise "
            "it, or set a smaller capture.seconds"
        )
    used = _size(folder) / MEBIBYTE
    if used + size > quota:
        raise CaptureError(
            f"capture.folder {folder} holds {used:.1f} MiB, and a capture of {size:.1f} MiB would "
            f"exceed capture.quota {quota:g} MiB: move captures away, or raise it"
        )


def _size(folder: Path) -> int:
    """Return the bytes of the files in a folder and in its bags."""
    files = (*folder.glob("*"), *folder.glob("*/*"))
    return sum(path.lstat().st_size for path in files if path.is_file())


def _require_rosbags() -> None:
    require("rosbags.rosbag2", "capture.folder", install='pip install "rosbags>=0.11"')


def _unwritable(path: Path, error: OSError) -> CaptureError:
    return CaptureError(
        f"{path} cannot be written ({error.strerror or error}): free space, or set capture.folder "
        "to a folder that the node's user may write to"
    )
