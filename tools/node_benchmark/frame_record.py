"""The times of one frame from its status message, in stages that add up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tdnet_ros.msg import SegmentationStatus

INFERENCE = ("preprocess", "network", "postprocess", "overlay", "download")
STAGES = ("wait", "convert", *INFERENCE, "message", "publish", "rest")


@dataclass(frozen=True)
class FrameRecord:
    """Milliseconds of one frame.

    Attributes:
        heard: arrival of its status, in seconds of `time.monotonic`.
        segmented: frames published by the node so far, since its activation.
        stages: milliseconds of each of `STAGES`; ``rest`` is the time between the others.
        labels: arrival to the end of the call that published the labels; NaN: not published.
        total: arrival to the end of the last call that published an image.
        age: stamp to publication of the last image.
    """

    heard: float
    segmented: int
    stages: Mapping[str, float]
    labels: float
    total: float
    age: float

    @classmethod
    def of(cls, status: SegmentationStatus, heard: float) -> FrameRecord:
        """Read a status message."""
        stages = {
            "wait": status.wait_ms,
            "convert": status.convert_ms,
            "preprocess": status.preprocess_ms,
            "network": status.network_ms,
            "postprocess": status.postprocess_ms - status.download_ms,
            "overlay": status.overlay_ms,
            "download": status.download_ms,
            "message": status.message_ms,
            "publish": status.publish_ms - status.message_ms,
        }
        stages["rest"] = status.total_ms - sum(stages.values())
        return cls(
            heard, status.segmented, stages, status.labels_ms, status.total_ms, status.age_ms
        )

    @property
    def labels_published(self) -> bool:
        """Whether the labels had a subscriber."""
        return not math.isnan(self.labels)

    @property
    def overlay_drawn(self) -> bool:
        """Whether the overlay had a subscriber."""
        return self.stages["overlay"] > 0

    @property
    def inference(self) -> float:
        """Sum of the stages of the network."""
        return sum(self.stages[name] for name in INFERENCE)

    @property
    def overhead(self) -> float:
        """Node overhead until the labels are published."""
        return self.labels - self.inference

    @property
    def overhead_of_all(self) -> float:
        """Node overhead until the last image is published."""
        return self.total - self.inference
