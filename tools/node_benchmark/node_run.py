"""The measurements of one run: percentiles of the frames, and the process of the node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tdnet._util.percentiles import Percentiles, percentiles
from tools.node_benchmark.frame_record import STAGES, FrameRecord


@dataclass(frozen=True)
class Process:
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
        stages: milliseconds of each of `frame_record.STAGES`.
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
    process: Process


def summarize(
    size: tuple[int, int],
    camera_rate: float,
    records: Sequence[FrameRecord],
    process: Process,
    *,
    overlay: bool,
    busy: bool,
) -> NodeRun:
    """Summarise at least two frames; see `NodeRun`."""
    first, last = records[0], records[-1]
    return NodeRun(
        size=size,
        overlay=overlay,
        camera_rate=camera_rate,
        busy=busy,
        frames=len(records),
        # Counted by the node: a lost status message is not a lost frame.
        rate=(last.segmented - first.segmented) / (last.heard - first.heard),
        stages={name: percentiles([record.stages[name] for record in records]) for name in STAGES},
        inference=percentiles([record.inference for record in records]),
        labels=percentiles([record.labels for record in records]),
        total=percentiles([record.total for record in records]),
        overhead=percentiles([record.overhead for record in records]),
        overhead_of_all=percentiles([record.overhead_of_all for record in records]),
        age=percentiles([record.age for record in records]),
        process=process,
    )
