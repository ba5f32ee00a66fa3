"""Frames from image files: those of a folder in natural order of their names, or a single one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tdnet._util.regular_files import file_problem
from tdnet.errors import InputError
from tdnet.frames.image_encodings import decode_compressed
from tdnet.frames.image_files import MAX_FILE_BYTES
from tdnet_offline.frames.source import Frame, FrameSource, RefusedFrame

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


class ImageFiles(FrameSource):
    """The images of a folder (not of its subfolders), or one image.

    Args:
        path: a folder with at least one PNG or JPEG, or such a file. Hidden files are ignored.

    Raises:
        InputError: the folder has no image, or two with the same name but for the suffix.
    """

    def __init__(self, path: Path) -> None:
        self._files = [path] if path.is_file() else image_files(path)
        self.description = path.name or str(path)
        self.num_frames = len(self._files)
        self.frame_rate = None

    def __iter__(self) -> Iterator[Frame | RefusedFrame]:
        """Yield the images, named as their files without the suffix."""
        for file in self._files:
            try:
                image = read_image(file)
            except InputError as error:
                yield RefusedFrame(file.name, str(error))
            else:
                yield Frame(file.stem, None, "", image)


def read_bytes(path: Path) -> bytes:
    """Read a picture file.

    Raises:
        InputError: it is missing, too large or not a plain file.
    """
    problem = file_problem(path, MAX_FILE_BYTES)
    if problem:
        raise InputError(problem)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from error


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Read a PNG or JPEG as (H, W, 3) uint8 RGB; the content decides, not the suffix.

    Raises:
        InputError: it cannot be read, is damaged or neither.
    """
    content = read_bytes(path)
    return decode_compressed("png" if content.startswith(b"\x89PNG") else "jpeg", content)


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key by which ``frame2`` comes before ``frame10``."""
    parts = re.split(r"([0-9]+)", name)
    return tuple((1, int(part)) if part.isdecimal() else (0, part) for part in parts)


def image_files(folder: Path) -> list[Path]:
    """Return the PNG and JPEG files of a folder in natural order of their names.

    Raises:
        InputError: there is none, or two with the same name but for the suffix.
    """
    files = [
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES
        and not file.name.startswith(".")
        and file.is_file()
    ]
    if not files:
        raise InputError(
            f"{folder}: no images in this folder; allowed are {', '.join(IMAGE_SUFFIXES)}"
        )
    # Names that differ only in leading zeros have the same natural key.
    files.sort(key=lambda file: (natural_key(file.stem), file.name))
    seen: dict[str, Path] = {}
    for file in files:
        other = seen.setdefault(file.stem, file)
        if other is not file:
            raise InputError(
                f"{folder}: {other.name} and {file.name} would give labels of the same name; "
                "rename one of them"
            )
    return files
