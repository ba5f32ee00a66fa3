"""The curves of a report: scores from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tdnet_offline.evaluation.result import FrameRecord
from tdnet_offline.report.figures import MAX_MARKS, curve_figure
from tdnet_offline.report.runs import Run
from tdnet_offline.report.table import number_of
from tdnet_offline.report.timeline import Timeline, make_curve


@dataclass(frozen=True)
class CurveSection:
    """One figure under its title; `figure` is plotly's JSON."""

    title: str
    note: str
    figure: str


def make_curves(runs: Sequence[Run]) -> list[CurveSection]:
    """Draw what changes from frame to frame; what no run has is left out."""
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
            "flow; needs no truth.",
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
    runs: Sequence[Run],
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
    return CurveSection(title, " ".join(parts), curve_figure(curves, timeline, marked).to_json())


def _resets(runs: Sequence[Run], timeline: Timeline) -> list[int]:
    """Places at which some run emptied its memory, the beginnings of videos aside."""
    found = set()
    for run in runs:
        seen = set()
        for record in run.evaluation.frames:
            if record.reset_reason is not None and record.video in seen:
                found.add(timeline.position(record))
            seen.add(record.video)
    return sorted(found)
