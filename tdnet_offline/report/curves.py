"""Curves of an evaluation: scores from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import plotly.graph_objects as go

from tdnet_offline.evaluation.result import FrameRecord
from tdnet_offline.report.figures import axis_title, laid_out, shown
from tdnet_offline.report.runs import EvaluationRun
from tdnet_offline.report.table import number_of

MAX_MARKS = 40
"""Marks of one kind in a curve; more would hide it."""
MAX_POINTS = 10_000
"""Points of a line; of more frames the lowest and highest of equal parts are drawn."""
# Margin above the highest and below the lowest value.
_MARGIN = 0.04


@dataclass(frozen=True)
class CurveSection:
    """A figure with its title."""

    title: str
    note: str
    figure: go.Figure


def make_curves(runs: Sequence[EvaluationRun]) -> list[CurveSection]:
    """Draw IoU and consistency over time; a curve that no run has is left out."""
    made = (
        _section(
            runs,
            "IoU over time",
            "Mean IoU of each labelled frame, over the classes in it.",
            lambda record: record.mean_iou,
        ),
        _section(
            runs,
            "Temporal consistency over time",
            "Share of the pixels whose label is that of the frame before, carried over by optical "
            "flow; needs no ground truth.",
            lambda record: record.consistency,
        ),
    )
    return [section for section in made if section is not None]


def _section(
    runs: Sequence[EvaluationRun],
    title: str,
    note: str,
    value: Callable[[FrameRecord], float | None],
) -> CurveSection | None:
    """Draw shares by frame, a line for each run; the videos follow one another."""
    starts, length = _video_starts(runs)
    figure = go.Figure()
    drawn: list[float] = []
    merged = False
    for run in runs:
        known = [
            (record, found)
            for record in run.evaluation.frames
            if (found := value(record)) is not None
        ]
        if not known:
            continue
        drawn += (found for _, found in known)
        if len(known) > MAX_POINTS:
            merged = True
            known = [known[place] for place in _extremes([found for _, found in known])]
        figure.add_scatter(
            x=[starts[record.video] + record.index for record, _ in known],
            y=np.array([found for _, found in known], np.float32),
            text=shown([f"{record.video} {record.name}" for record, _ in known]),
            name=escape(run.name),
            # A line through one point is invisible.
            mode="lines" if len(known) > 1 else "markers",
            line={"color": run.color, "width": 1.8},
            marker={"color": run.color, "size": 8},
            hovertemplate=f"%{{text}}<br><b>%{{y:.1%}}</b><extra>{escape(run.name)}</extra>",
        )
    if not drawn:
        return None
    limits = [max(0.0, min(drawn) - _MARGIN), min(1.0, max(drawn) + _MARGIN)]
    parts = [note]
    if merged:
        parts.append(f"Drawn are the lows and highs, {MAX_POINTS} frames of a run at most.")
    if len(starts) > 1:
        parts.append(f"{len(starts)} videos, one after the other.")
    if len(starts) <= MAX_MARKS:
        for start in [*starts.values()][1:]:
            figure.add_vline(start - 0.5, line={"width": 1, "dash": "dot"}, layer="below")
    resets = _resets(runs, starts)
    if resets:
        where = ""
        if len(resets) <= MAX_MARKS:
            where = "; triangles show where"
            figure.add_scatter(
                x=resets,
                y=[limits[0]] * len(resets),
                mode="markers",
                name="memory emptied",
                marker={"symbol": "triangle-up", "size": 9, "color": "#8a94a3"},
                hovertemplate="memory emptied before frame %{x}<extra></extra>",
                cliponaxis=False,
            )
        times = number_of(len(resets), "time")
        parts.append(f"Within videos the memory was emptied {times}{where}.")
    figure.update_yaxes(tickformat=".0%", range=limits)
    figure.update_xaxes(range=[-0.5, max(length - 0.5, 0.5)], title=axis_title("frame"))
    figure.update_layout(hovermode="closest")
    return CurveSection(title, " ".join(parts), laid_out(figure, height=300))


def _extremes(values: Sequence[float]) -> list[int]:
    """Return the positions of the lowest and highest value of each of equal parts."""
    parts = np.array_split(np.array(values), MAX_POINTS // 2)
    starts = np.cumsum([0, *map(len, parts[:-1])])
    ends = [(part.argmin(), part.argmax()) for part in parts]
    return np.unique(np.array(ends) + starts[:, None]).tolist()


def _video_starts(runs: Sequence[EvaluationRun]) -> tuple[dict[str, int], int]:
    """Return the position of the first frame of each video, in all runs, and the last position."""
    lengths: dict[str, int] = {}
    for run in runs:
        for record in run.evaluation.frames:
            lengths[record.video] = max(lengths.get(record.video, 0), record.index + 1)
    ends = np.cumsum([0, *lengths.values()]).tolist()
    return dict(zip(lengths, ends, strict=False)), ends[-1]


def _resets(runs: Sequence[EvaluationRun], starts: dict[str, int]) -> list[int]:
    """Return the positions at which a run emptied its memory within a video."""
    found = set()
    for run in runs:
        seen = set()
        for record in run.evaluation.frames:
            if record.reset_reason is not None and record.video in seen:
                found.add(starts[record.video] + record.index)
            seen.add(record.video)
    return sorted(found)
