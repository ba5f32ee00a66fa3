"""What was measured: percentiles of many frames, and the node's process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tools.node_benchmark.frame_record import STAGES, FrameRecord


@dataclass(frozen=True)
class Spread:
    """The values that 50, 95 and 99 percent of the frames stay below, in milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Give those of some values, at least one."""
        return cls(*(float(value) for value in np.percentile(values, (50, 95, 99))))


@dataclass(frozen=True)
class Process:
    """What the node's process took while it was measured.

    Attributes:
        cpu: processors that it kept busy.
        resident_mib: memory that it occupied at the end, shared with others or not.
        own_mib: of it, memory that is its own: heap and stacks.
        grown_mib: how much more that is than at the start of the measurement.
    """

    cpu: float
    resident_mib: float
    own_mib: float
    grown_mib: float


@dataclass(frozen=True)
class Run:
    """Frames of one camera size, at one rate, with the same outputs.

    Attributes:
        size: height and width of the camera's images.
        overlay: whether confidence and overlay were published too.
        camera_rate: frames a second that the camera was to send.
        busy: whether the camera was meant to be faster than the node.
        frames: how many were measured.
        rate: frames a second that the node published.
        stages: milliseconds by the names of `frame_record.STAGES`.
        inference: of the network's stages together.
        labels: arrival to published labels.
        total: arrival to the last published image.
        overhead: `labels` without the network's stages.
        overhead_of_all: `total` without the network's stages.
        age: stamp to the last published image.
        process: of the node.
    """

    size: tuple[int, int]
    overlay: bool
    camera_rate: float
    busy: bool
    frames: int
    rate: float
    stages: Mapping[str, Spread]
    inference: Spread
    labels: Spread
    total: Spread
    overhead: Spread
    overhead_of_all: Spread
    age: Spread
    process: Process


def summarize(
    size: tuple[int, int],
    camera_rate: float,
    records: Sequence[FrameRecord],
    process: Process,
    *,
    overlay: bool,
    busy: bool,
) -> Run:
    """Put together what was measured of at least two frames; see `Run`."""
    first, last = records[0], records[-1]
    return Run(
        size=size,
        overlay=overlay,
        camera_rate=camera_rate,
        busy=busy,
        frames=len(records),
        # Counted by the node, so that a status that is lost is no frame that is lost.
        rate=(last.segmented - first.segmented) / (last.heard - first.heard),
        stages={name: Spread.of([record.stages[name] for record in records]) for name in STAGES},
        inference=Spread.of([record.inference for record in records]),
        labels=Spread.of([record.labels for record in records]),
        total=Spread.of([record.total for record in records]),
        overhead=Spread.of([record.overhead for record in records]),
        overhead_of_all=Spread.of([record.overhead_of_all for record in records]),
        age=Spread.of([record.age for record in records]),
        process=process,
    )
