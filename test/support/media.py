"""Real files to read: image folders, videos, bags, and a small network's weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from support.frames import drive as drive

SECOND = 1_000_000_000
TYPES = get_typestore(Stores.ROS2_HUMBLE)


def write_image(path: Path, image: npt.NDArray[np.uint8]) -> None:
    """Write an RGB image as PNG or JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ok, data = cv2.imencode(path.suffix, image[..., ::-1])
    assert ok
    path.write_bytes(data.tobytes())


def read_image(path: Path, flags: int = cv2.IMREAD_UNCHANGED) -> npt.NDArray[np.uint8]:
    """Read an image file with OpenCV."""
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flags)
    assert image is not None, path
    return image


def folder_of(path: Path, images: Sequence[npt.NDArray[np.uint8]]) -> Path:
    """Write RGB images as 0.png, 1.png ... into a folder."""
    for index, image in enumerate(images):
        write_image(path / f"{index}.png", image)
    return path


def written(output: Path, kind: str = "labels") -> dict[str, npt.NDArray[np.uint8]]:
    """Read the files that `tdnet predict` wrote, by name."""
    return {path.stem: read_image(path) for path in (output / kind).iterdir()}


def raw_message(
    image: npt.NDArray[np.uint8], stamp_ns: int, frame_id: str = "camera", **lies: Any
) -> Any:
    """Return an rgb8 Image; `lies` replace fields."""
    fields = {
        "height": image.shape[0],
        "width": image.shape[1],
        "encoding": "rgb8",
        "is_bigendian": 0,
        "step": image.shape[1] * 3,
        "data": np.ascontiguousarray(image).reshape(-1),
    }
    header = _header(stamp_ns, frame_id)
    return TYPES.types["sensor_msgs/msg/Image"](**{"header": header, **fields, **lies})


def compressed_message(data: bytes, format: str, stamp_ns: int, frame_id: str = "camera") -> Any:
    """Return a CompressedImage."""
    return TYPES.types["sensor_msgs/msg/CompressedImage"](
        header=_header(stamp_ns, frame_id),
        format=format,
        data=np.frombuffer(data, dtype=np.uint8),
    )


def _header(stamp_ns: int, frame_id: str) -> Any:
    time = TYPES.types["builtin_interfaces/msg/Time"](
        sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND
    )
    return TYPES.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def write_bag(
    path: Path, messages: Sequence[tuple[str, Any]], storage: StoragePlugin = StoragePlugin.SQLITE3
) -> Path:
    """Write (topic, message) pairs, 0.1 s apart, into a new bag."""
    with Writer(path, version=8, storage_plugin=storage) as writer:
        connections: dict[str, Any] = {}
        for index, (topic, message) in enumerate(messages):
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=TYPES)
            data = TYPES.serialize_cdr(message, kind)
            writer.write(connections[topic], index * SECOND // 10, data)
    return path


def damage_bag(bag: Path, pixels: bytes) -> None:
    """Break the message of an sqlite3 bag that holds these pixels.

    SQLite stores a long message as a chain of pages, each beginning with the number of the next.
    """
    (file,) = bag.glob("*.db3")
    content = bytearray(file.read_bytes())
    middle = len(pixels) // 2
    found = max(content.find(pixels[at : at + 64]) for at in (middle, middle + 64))
    assert found >= 0
    page = found // 4096 * 4096
    content[page : page + 4] = b"\xff" * 4
    file.write_bytes(content)


def write_video(
    path: Path,
    images: Sequence[npt.NDArray[np.uint8]],
    codec: str = "mpeg4",
    rate: int = 10,
    options: dict[str, str] | None = None,
) -> Path:
    """Write RGB frames as a video."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def read_video(path: Path) -> list[npt.NDArray[np.uint8]]:
    """Decode a video without code of this project."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
