"""ROS messages for bags: the types, and messages of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from tdnet.errors import InputError

_NANOSECONDS = 1_000_000_000
# Type and number of a pixel's values.
_PIXELS = {"mono8": ("u1", 1), "rgb8": ("u1", 3), "bgr8": ("u1", 3), "32FC1": ("<f4", 1)}


def message_types(packages: Mapping[str, Path] | None = None) -> Typestore:
    """Return the standard ROS 2 message types and those of further packages.

    Args:
        packages: name of a package, such as ``tdnet_ros``, to the folder of its .msg files.

    Raises:
        InputError: a folder has no message definition, or one that cannot be parsed.
    """
    # Humble's messages are the same on the wire as those of newer distributions.
    types = get_typestore(Stores.ROS2_HUMBLE)
    for package, folder in (packages or {}).items():
        files = sorted(folder.glob("*.msg"))
        if not files:
            raise InputError(f"{folder}: no .msg files; give the msg folder of {package}")
        try:
            found = {}
            for file in files:
                name = f"{package}/msg/{file.stem}"
                found.update(get_types_from_msg(file.read_text(encoding="utf-8"), name))
            types.register(found)
        except Exception as error:
            # rosbags passes on the exceptions of its parser.
            raise InputError(f"{folder}: not message definitions ({error})") from error
    return types


def _header(types: Typestore, stamp_ns: int, frame_id: str) -> Any:  # noqa: ANN401
    seconds, nanoseconds = divmod(stamp_ns, _NANOSECONDS)
    time = types.types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return types.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def image_message(
    types: Typestore, image: np.ndarray, encoding: str, stamp_ns: int, frame_id: str
) -> Any:  # noqa: ANN401
    """Return a ``sensor_msgs/msg/Image``.

    Args:
        types: with the message type.
        image: (H, W, 3) uint8 for rgb8 and bgr8, (H, W) uint8 for mono8, (H, W) float32 for
            32FC1.
        encoding: "rgb8", "bgr8", "mono8" or "32FC1".
        stamp_ns: nanoseconds since the epoch.
        frame_id: of the camera.

    Raises:
        InputError: the array does not fit the encoding.
    """
    if encoding not in _PIXELS:
        raise InputError(f"encoding {encoding!r} cannot be written; use {', '.join(_PIXELS)}")
    kind, channels = _PIXELS[encoding]
    shape = image.shape if image.ndim == 3 else (*image.shape, 1)
    if image.dtype != kind or len(shape) != 3 or shape[2] != channels:
        raise InputError(
            f"an array of {image.dtype} {image.shape} is not an {encoding} image; give "
            f"{np.dtype(kind).name} with {channels} channel(s)"
        )
    return types.types["sensor_msgs/msg/Image"](
        header=_header(types, stamp_ns, frame_id),
        height=shape[0],
        width=shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=shape[1] * channels * image.itemsize,
        data=np.ascontiguousarray(image).reshape(-1).view(np.uint8),
    )


def camera_info_message(
    types: Typestore,
    size: tuple[int, int],
    matrix: npt.NDArray[np.float64],
    stamp_ns: int,
    frame_id: str,
) -> Any:  # noqa: ANN401
    """Return a ``sensor_msgs/msg/CameraInfo`` of a camera without distortion.

    Args:
        types: with the message type.
        size: (H, W) of the images in pixels.
        matrix: (3, 3) camera matrix in pixels.
        stamp_ns: nanoseconds since the epoch.
        frame_id: of the camera.
    """
    region = types.types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return types.types["sensor_msgs/msg/CameraInfo"](
        header=_header(types, stamp_ns, frame_id),
        height=size[0],
        width=size[1],
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=matrix.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.hstack([matrix, np.zeros((3, 1))]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=region,
    )
