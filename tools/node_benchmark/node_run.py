"""The times of one frame by its status message, and the percentiles of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tdnet._util.percentiles import Percentiles, percentiles
from tdnet_ros.msg import SegmentationStatus

INFERENCE = ("preprocess", "network", "postprocess", "overlay", "download")
STAGES = ("wait", "convert", *INFERENCE, "message", "publish", "rest")
_LATENCIES = ("inference", "labels", "total", "overhead", "overhead_of_all", "age")


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
        parts = ("wait", "convert", *INFERENCE, "message", "publish")
        stages = {name: getattr(status, f"{name}_ms") for name in parts}
        stages["postprocess"] -= stages["download"]
        stages["publish"] -= stages["message"]
        stages["rest"] = status.total_ms - sum(stages.values())
        return cls(
            heard, status.segmented, stages, status.labels_ms, status.total_ms, status.age_ms
        )

    def has_outputs(self, *, overlay: bool) -> bool:
        """Return whether the labels were published, and the overlay too, or only the labels."""
        return not math.isnan(self.labels) and (self.stages["overlay"] > 0) == overlay

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


@dataclass(frozen=True)
class NodeResources:
    """The resources of the node's process.

    Attributes:
        cpu: number of busy processors.
        resident_mib: resident memory at the end, shared memory included.
        own_mib: heap and stacks, part of it.
        grown_mib: growth of `own_mib` during the measurement.
    """

    cpu: float
    resident_mib: float
    own_mib: float
    grown_mib: float


@dataclass(frozen=True)
class NodeRun:
    """Frames of one camera size, at one rate, with the same outputs.

    Attributes:
        size: height and width of the camera's images.
        overlay: whether confidence and overlay were published.
        camera_rate: requested frames per second of the camera.
        busy: whether the camera is to be faster than the node.
        frames: number of measured frames.
        rate: published frames per second.
        stages: milliseconds of each of `STAGES`.
        inference: sum of the stages of the network.
        labels: arrival to published labels.
        total: arrival to the last published image.
        overhead: `labels` without `inference`.
        overhead_of_all: `total` without `inference`.
        age: stamp to the last published image.
        process: resources of the node.
    """

    size: tuple[int, int]
    overlay: bool
    camera_rate: float
    busy: bool
    frames: int
    rate: float
    stages: Mapping[str, Percentiles]
    inference: Percentiles
    labels: Percentiles
    total: Percentiles
    overhead: Percentiles
    overhead_of_all: Percentiles
    age: Percentiles
    process: NodeResources

    @property
    def name(self) -> str:
        """Camera size and outputs."""
        return f"{self.size[1]} x {self.size[0]}{', overlay' if self.overlay else ''}"


def summarize(
    size: tuple[int, int],
    camera_rate: float,
    records: Sequence[FrameRecord],
    process: NodeResources,
    *,
    overlay: bool,
    busy: bool,
) -> NodeRun:
    """Summarise at least two frames; see `NodeRun`."""
    first, last = records[0], records[-1]
    latencies = {
        name: percentiles([getattr(record, name) for record in records]) for name in _LATENCIES
    }
    return NodeRun(
        size=size,
        overlay=overlay,
        camera_rate=camera_rate,
        busy=busy,
        frames=len(records),
        # Counted by the node: a lost status message is not a lost frame.
        rate=(last.segmented - first.segmented) / (last.heard - first.heard),
        stages={name: percentiles([record.stages[name] for record in records]) for name in STAGES},
        process=process,
        **latencies,
    )
