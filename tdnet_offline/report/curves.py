"""Curves of an evaluation: scores from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from tdnet_offline.evaluation.result import Evaluation, FrameRecord
from tdnet_offline.report.figures import axis_title, laid_out, shown
from tdnet_offline.report.runs import EvaluationRun
from tdnet_offline.report.table import number_of

MAX_POINTS = 1000
"""Points of a curve; a screen has no more columns."""
MAX_MARKS = 40
"""Marks of one kind in a curve; more would hide it."""
# Margin above the highest and below the lowest value.
_MARGIN = 0.04

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CurveSection:
    """A figure with its title."""

    title: str
    note: str
    figure: go.Figure


def make_curves(runs: Sequence[EvaluationRun]) -> list[CurveSection]:
    """Draw IoU and consistency over time; a curve that no run has is left out."""
    timeline = Timeline([run.evaluation for run in runs])
    resets = _resets(runs, timeline)
    made = [
        _section(
            "IoU over time",
            "Mean IoU of each labelled frame, over the classes in it.",
            runs,
            timeline,
            resets,
            lambda record: record.mean_iou,
        ),
        _section(
            "Temporal consistency over time",
            "Share of the pixels whose label is that of the frame before, carried over by optical "
            "flow; needs no ground truth.",
            runs,
            timeline,
            resets,
            lambda record: record.consistency,
        ),
    ]
    return [section for section in made if section is not None]


def _section(
    title: str,
    note: str,
    runs: Sequence[EvaluationRun],
    timeline: Timeline,
    resets: Sequence[int],
    value: Callable[[FrameRecord], float | None],
) -> CurveSection | None:
    curves = []
    for run in runs:
        points = [
            (timeline.position(record), found, f"{record.video} {record.name}")
            for record in run.evaluation.frames
            if (found := value(record)) is not None
        ]
        if points:
            curves.append((run.name, run.color, make_curve(points)))
    if not curves:
        return None
    size = max(curve.frames_a_point for _, _, curve in curves)
    parts = [note]
    if size > 1:
        parts.append(f"The line is the mean of {size} frames, the band their range.")
    if len(timeline.starts) > 1:
        parts.append(f"{len(timeline.starts)} videos, one after the other.")
    if resets:
        times = number_of(len(resets), "time")
        where = "; triangles show where" if len(resets) <= MAX_MARKS else ""
        parts.append(f"Within videos the memory was emptied {times}{where}.")
    marked = resets if len(resets) <= MAX_MARKS else []
    return CurveSection(title, " ".join(parts), _figure(curves, timeline, marked))


def _resets(runs: Sequence[EvaluationRun], timeline: Timeline) -> list[int]:
    """Positions at which a run emptied its memory within a video."""
    found = set()
    for run in runs:
        seen = set()
        for record in run.evaluation.frames:
            if record.reset_reason is not None and record.video in seen:
                found.add(timeline.position(record))
            seen.add(record.video)
    return sorted(found)


class Timeline:
    """Positions of frames, one video after the other; a frame has one position in all runs.

    Args:
        evaluations: evaluations with the frames.

    Attributes:
        starts: position of the first frame of each video, in order.
        length: number of positions.
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
        """Return the position of a frame, from 0."""
        return self.starts[record.video] + record.index


@dataclass(frozen=True)
class Curve:
    """Values by position; each point is one frame, or several consecutive ones.

    Attributes:
        positions: position of each point; of several frames, the first.
        mean: mean of the values of each point.
        lowest: lowest value of each point.
        highest: highest value of each point.
        names: frame of each point; empty if a point has several frames.
        frames_a_point: most frames of a point.
    """

    positions: Values
    mean: Values
    lowest: Values
    highest: Values
    names: tuple[str, ...]
    frames_a_point: int


def make_curve(points: Sequence[tuple[int, float, str]]) -> Curve:
    """Merge consecutive points until there are at most `MAX_POINTS`.

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


def _figure(
    curves: Sequence[tuple[str, str, Curve]], timeline: Timeline, resets: Sequence[int]
) -> go.Figure:
    """Draw shares by frame, a line for each run.

    Args:
        curves: name and colour of a run, and its values from 0 to 1; at least one.
        timeline: positions of the videos.
        resets: positions to mark, where the memory was emptied within a video.
    """
    lowest = min(float(curve.lowest.min()) for _, _, curve in curves)
    highest = max(float(curve.highest.max()) for _, _, curve in curves)
    limits = [max(0.0, lowest - _MARGIN), min(1.0, highest + _MARGIN)]
    figure = go.Figure()
    for name, color, curve in curves:
        if curve.frames_a_point > 1:
            figure.add_trace(_band(name, color, curve))
        hover = "%{text}<br>" if curve.names else "from frame %{x}<br>"
        figure.add_trace(
            go.Scatter(
                x=curve.positions,
                y=curve.mean.astype(np.float32),
                text=shown(curve.names) if curve.names else None,
                name=escape(name),
                # A line through one point is invisible.
                mode="lines" if len(curve.positions) > 1 else "markers",
                line={"color": color, "width": 1.8},
                marker={"color": color, "size": 8},
                hovertemplate=f"{hover}<b>%{{y:.1%}}</b><extra>{escape(name)}</extra>",
            )
        )
    starts = list(timeline.starts.values())[1:]
    if len(starts) <= MAX_MARKS:
        for start in starts:
            figure.add_vline(start - 0.5, line={"width": 1, "dash": "dot"}, layer="below")
    if resets:
        figure.add_trace(_reset_marks(resets, limits[0]))
    figure.update_yaxes(tickformat=".0%", range=limits)
    figure.update_xaxes(range=[-0.5, max(timeline.length - 0.5, 0.5)], title=axis_title("frame"))
    figure.update_layout(hovermode="closest")
    return laid_out(figure, height=300)


def _band(name: str, color: str, curve: Curve) -> go.Scatter:
    """Draw a band from the lowest to the highest value of each point."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return go.Scatter(
        x=np.concatenate([curve.positions, curve.positions[::-1]]),
        y=np.concatenate([curve.highest, curve.lowest[::-1]]).astype(np.float32),
        fill="toself",
        fillcolor=f"rgba({red}, {green}, {blue}, 0.22)",
        line={"width": 0},
        mode="lines",
        name=escape(name),
        hoverinfo="skip",
    )


def _reset_marks(positions: Sequence[int], height: float) -> go.Scatter:
    return go.Scatter(
        x=positions,
        y=[height] * len(positions),
        mode="markers",
        name="memory emptied",
        marker={"symbol": "triangle-up", "size": 9, "color": "#8a94a3"},
        hovertemplate="memory emptied before frame %{x}<extra></extra>",
        cliponaxis=False,
    )
