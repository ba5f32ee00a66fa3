"""Latency of an evaluation: percentiles by stage, medians as bars, and the distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from tdnet._util.percentiles import Percentiles
from tdnet_offline.evaluation import metrics
from tdnet_offline.report.figures import axis_title, laid_out, stage_color, stage_figure
from tdnet_offline.report.runs import EvaluationRun
from tdnet_offline.report.table import BARE_TIME, Row, Table, make_cells, milliseconds, number_of

TOTAL = "total"
_PERCENTILES = ("p50", "p95", "p99")
# The first frames can be so slow that they would compress the axis.
_SHOWN_PERCENTILE = 99.5
_BINS = 40


@dataclass(frozen=True)
class LatencySection:
    """Table and figures of the latency."""

    table: Table
    stages: go.Figure
    histogram: go.Figure
    note: str


def make_latency(runs: Sequence[EvaluationRun]) -> LatencySection | None:
    """Summarise the times of the frames; None if none was segmented."""
    times = [
        np.array([r.stages_ms[TOTAL] for r in run.evaluation.frames if TOTAL in r.stages_ms])
        for run in runs
    ]
    measured = np.concatenate(times)
    if not len(measured):
        return None
    end = max(float(np.percentile(values, _SHOWN_PERCENTILE)) for values in times if len(values))
    note = "From image to labels. The bars show medians."
    beyond = int((measured > end).sum())
    if beyond:
        note += (
            f" Beyond the right edge of the histogram: {number_of(beyond, 'frame')}, up to "
            f"{milliseconds(float(measured.max()))}."
        )
    stages = [metrics.stage_percentiles(run.evaluation) for run in runs]
    bars = [
        (
            run.name if len(runs) > 1 else "",
            {name: percentiles.p50 for name, percentiles in found.items() if name != TOTAL},
        )
        for run, found in zip(runs, stages, strict=True)
    ]
    histogram = _histogram(runs, times, float(measured.min()), end)
    return LatencySection(_table(runs, stages), stage_figure(bars), histogram, note)


def _table(runs: Sequence[EvaluationRun], stages: Sequence[dict[str, Percentiles]]) -> Table:
    names = [name for name in dict.fromkeys(n for found in stages for n in found) if name != TOTAL]
    rows = [_row(name, [found.get(name) for found in stages], stage_color(name)) for name in names]
    rows.append(_row(TOTAL, [found.get(TOTAL) for found in stages]))
    ages = [metrics.age_percentiles(run.evaluation) for run in runs]
    if any(ages):
        rows.append(_row("age", ages, note="time from when the frame was due to its labels"))
    return Table(tuple(f"{which}, ms" for which in _PERCENTILES), tuple(rows), "stage")


def _row(name: str, found: Sequence[Percentiles | None], color: str = "", note: str = "") -> Row:
    groups = (
        make_cells([getattr(each, which, None) for each in found], BARE_TIME)
        for which in _PERCENTILES
    )
    return Row(name, tuple(groups), color, note)


def _histogram(
    runs: Sequence[EvaluationRun],
    times: Sequence[npt.NDArray[np.float64]],
    fastest: float,
    slowest_shown: float,
) -> go.Figure:
    """Draw the distribution of the milliseconds of the frames of each run."""
    start = min(fastest, slowest_shown * 0.99)
    figure = go.Figure()
    for run, values in zip(runs, times, strict=True):
        counts, edges = np.histogram(values, _BINS, (start, slowest_shown))
        figure.add_bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=counts / max(counts.sum(), 1),
            width=edges[1] - edges[0],
            name=escape(run.name),
            marker={"color": run.color, "opacity": 1.0 if len(runs) == 1 else 0.55},
            hovertemplate=f"%{{x:.2f}} ms<br><b>%{{y:.1%}}</b> of the frames"
            f"<extra>{escape(run.name)}</extra>",
        )
    figure.update_xaxes(title=axis_title("milliseconds"))
    figure.update_yaxes(title=axis_title("frames"), tickformat=".0%", rangemode="tozero")
    figure.update_layout(barmode="overlay", bargap=0)
    return laid_out(figure, height=280)
