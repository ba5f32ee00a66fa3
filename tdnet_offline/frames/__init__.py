"""Frame sources: one interface over image files, videos and bags."""

from __future__ import annotations

import sys
from pathlib import Path

from tdnet._util.regular_files import file_problem
from tdnet.errors import InputError
from tdnet_offline.frames.image_files import IMAGE_SUFFIXES, ImageFiles
from tdnet_offline.frames.source import Frame, FrameSource, RefusedFrame

BAG_SUFFIXES = (".bag", ".mcap", ".db3")

__all__ = ["Frame", "FrameSource", "ImageFiles", "RefusedFrame", "is_bag", "open_source"]


def is_bag(path: Path) -> bool:
    """Return whether a path is a bag: a folder with metadata or bag files, or a file's suffix.

    A killed recorder leaves a folder without ``metadata.yaml``.
    """
    if path.is_dir():
        return any(
            file.name == "metadata.yaml" or file.suffix.lower() in (".mcap", ".db3")
            for file in path.iterdir()
        )
    return path.suffix.lower() in BAG_SUFFIXES


def open_source(path: str | Path, topic: str | None = None) -> FrameSource:
    """Open a folder of images, an image, a video file or a bag.

    Args:
        path: a folder with a ``metadata.yaml`` or bag files is a ROS 2 bag, any other holds
            images; a file is an image or a bag by its suffix, else a video.
        topic: the bag's image topic; None if it has only one.

    Raises:
        InputError: there is nothing at the path, it cannot be read, or the topic is not in it.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    problem = None if path.is_dir() else file_problem(path, sys.maxsize)
    if problem:
        raise InputError(f"{path}: {problem}; give a folder of images, a video or a bag")
    if is_bag(path):
        from tdnet_offline.frames.bag_images import BagImages

        return BagImages(path, topic)
    if topic is not None:
        raise InputError(f"{path}: only a bag has topics; leave out topic {topic!r}")
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return ImageFiles(path)
    from tdnet_offline.frames.video_file import VideoFile

    return VideoFile(path)
