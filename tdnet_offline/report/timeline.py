"""Where frames stand on the axis of a curve, and curves that stay small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tdnet_offline.evaluation.result import Evaluation, FrameRecord

MAX_POINTS = 1000
"""Of a curve; more than a screen has columns for."""

Values = npt.NDArray[np.float64]


class Timeline:
    """One video after the other; the same frame stands at the same place for every run.

    Args:
        evaluations: whose frames are placed.

    Attributes:
        starts: position of the first frame by video, in order.
        length: positions in all.
    """

    def __init__(self, evaluations: Sequence[Evaluation]) -> None:
        lengths: dict[str, int] = {}
        for evaluation in evaluations:
            for record in evaluation.frames:
                lengths[record.video] = max(lengths.get(record.video, 0), record.index + 1)
        self.starts: dict[str, int] = {}
        self.length = 0
        for video, length in lengths.items():
            self.starts[video] = self.length
            self.length += length

    def position(self, record: FrameRecord) -> int:
        """Return the place of a frame, counted from 0."""
        return self.starts[record.video] + record.index


@dataclass(frozen=True)
class Curve:
    """Values over positions, each of one frame or of several neighbours.

    Attributes:
        positions: of the points; the first of its frames where there are several.
        mean: value, or mean of the values.
        lowest: of the values.
        highest: of the values.
        names: of the point's frame; empty where a point is of several.
        frames_a_point: how many frames a point may be of; 1: nothing was summed up.
    """

    positions: Values
    mean: Values
    lowest: Values
    highest: Values
    names: tuple[str, ...]
    frames_a_point: int


def make_curve(points: Sequence[tuple[int, float, str]]) -> Curve:
    """Sum up neighbouring points until there are no more than `MAX_POINTS`.

    Args:
        points: position, value and name of frames, in order; at least one.
    """
    positions = np.array([point[0] for point in points], np.float64)
    values = np.array([point[1] for point in points], np.float64)
    size = -(-len(points) // MAX_POINTS)
    edges = np.arange(0, len(points), size)
    counts = np.diff(np.append(edges, len(points)))
    return Curve(
        positions=positions[edges],
        mean=np.add.reduceat(values, edges) / counts,
        lowest=np.minimum.reduceat(values, edges),
        highest=np.maximum.reduceat(values, edges),
        names=tuple(point[2] for point in points) if size == 1 else (),
        frames_a_point=size,
    )
