"""Reads the recorded topics of the node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tdnet.class_map.classes import SegmentationClass
from tdnet.class_map.model import ClassMap
from tdnet.frames.image_encodings import decode_raw
from tdnet_offline.bags import open_bag
from tools.demo.errors import DemoError
from tools.demo.recorder import CLASS_MAP, STATUS, recorded_types

# The stages of a frame in their order, as the status message names them.
STAGES = ("wait", "convert", "preprocess", "network", "postprocess", "overlay", "publish")


@dataclass(frozen=True)
class FrameStatus:
    """What the node said of one frame.

    Attributes:
        stamp_ns: of the frame.
        path: sub-network that took it.
        memory_frames: earlier frames that it could use.
        reset_reason: why the memory was emptied before it; empty: it was continued.
        stages: milliseconds by stage.
        total_ms: arrival to last publication.
        class_ids: classes in its labels.
    """

    stamp_ns: int
    path: int
    memory_frames: int
    reset_reason: str
    stages: dict[str, float]
    total_ms: float
    class_ids: tuple[int, ...]


class Recording:
    """A bag that `Recorder` wrote."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._types = recorded_types()

    def class_map(self) -> ClassMap:
        """The classes that the node last announced.

        Raises:
            DemoError: it announced none.
        """
        messages = [message for _, message in self._messages(CLASS_MAP)]
        if not messages:
            raise DemoError(f"{self._path}: the node published no class map")
        classes = tuple(
            SegmentationClass(
                id=entry.id,
                name=entry.name,
                color=(_byte(entry.color.r), _byte(entry.color.g), _byte(entry.color.b)),
                sources=(index,),
                hidden=entry.hidden,
            )
            for index, entry in enumerate(messages[-1].classes)
        )
        return ClassMap(messages[-1].name, classes, len(classes))

    def statuses(self) -> list[FrameStatus]:
        """What the node said of each segmented frame, in order."""
        return [
            FrameStatus(
                stamp_ns=stamp,
                path=message.path,
                memory_frames=message.memory_frames,
                reset_reason=message.reset_reason,
                stages={name: float(getattr(message, f"{name}_ms")) for name in STAGES},
                total_ms=float(message.total_ms),
                class_ids=tuple(int(class_id) for class_id in message.class_ids),
            )
            for stamp, message in self._messages(STATUS)
        ]

    def images(self, topic: str) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yields stamp in nanoseconds and image of a topic: (H, W) of mono8, (H, W, 3) RGB."""
        for stamp, message in self._messages(topic):
            image = decode_raw(
                message.encoding,
                message.height,
                message.width,
                message.step,
                bool(message.is_bigendian),
                message.data,
            )
            yield stamp, image[..., 0] if message.encoding == "mono8" else image

    def _messages(self, topic: str) -> Iterator[tuple[int, Any]]:
        with open_bag(self._path, self._types) as bag:
            if topic not in bag.topics:
                return
            for record in bag.records([topic]):
                message = bag.decode(record)
                stamp = message.header.stamp
                yield stamp.sec * 1_000_000_000 + stamp.nanosec, message


def _byte(component: float) -> int:
    return round(float(component) * 255)
