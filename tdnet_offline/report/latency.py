"""Latency of an evaluation: percentiles by stage, medians as bars, and the distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from tdnet_offline.evaluation import metrics
from tdnet_offline.report.figures import axis_title, laid_out, stage_color, stage_figure
from tdnet_offline.report.runs import EvaluationRun
from tdnet_offline.report.table import BARE_TIME, Row, Table, make_cells, milliseconds, number_of

TOTAL = "total"
_PERCENTILES = ("p50", "p95", "p99")
# The first frames can be so slow that they would compress the axis.
_SHOWN_PERCENTILE = 99.5
_MAX_BINS = 48

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LatencySection:
    """Table and figures of the latency."""

    table: Table
    stages: go.Figure
    histogram: go.Figure
    note: str


def make_latency(runs: Sequence[EvaluationRun]) -> LatencySection | None:
    """Summarise the times of the frames; None if none was segmented."""
    stages = [metrics.stage_percentiles(run.evaluation) for run in runs]
    names = [n for n in dict.fromkeys(n for found in stages for n in found) if n != TOTAL]
    times = [
        (run.name, run.color, np.array(totals, np.float64))
        for run in runs
        if (totals := [r.stages_ms[TOTAL] for r in run.evaluation.frames if TOTAL in r.stages_ms])
    ]
    if not times:
        return None
    end = max(float(np.percentile(values, _SHOWN_PERCENTILE)) for _, _, values in times)
    note = "From image to labels. The bars show medians."
    beyond = sum(int((values > end).sum()) for _, _, values in times)
    if beyond:
        slowest = max(float(values.max()) for _, _, values in times)
        note += (
            f" Beyond the right edge of the histogram: {number_of(beyond, 'frame')}, up to "
            f"{milliseconds(slowest)}."
        )
    return LatencySection(
        table=_table(runs, names, stages),
        stages=stage_figure(
            [
                (
                    "" if len(runs) == 1 else run.name,
                    {n: found[n].p50 for n in names if n in found},
                )
                for run, found in zip(runs, stages, strict=True)
            ]
        ),
        histogram=_histogram(times, end),
        note=note,
    )


def _table(
    runs: Sequence[EvaluationRun],
    names: Sequence[str],
    stages: Sequence[dict[str, metrics.Percentiles]],
) -> Table:
    rows = [_row(name, [found.get(name) for found in stages], stage_color(name)) for name in names]
    rows.append(_row(TOTAL, [found.get(TOTAL) for found in stages]))
    ages = [metrics.age_percentiles(run.evaluation) for run in runs]
    if any(ages):
        rows.append(_row("age", ages, note="time from when the frame was due to its labels"))
    return Table(tuple(f"{which}, ms" for which in _PERCENTILES), tuple(rows))


def _row(
    name: str, found: Sequence[metrics.Percentiles | None], color: str = "", note: str = ""
) -> Row:
    groups = [
        make_cells([None if p is None else getattr(p, which) for p in found], BARE_TIME)
        for which in _PERCENTILES
    ]
    return Row(name, tuple(groups), color, note)


def _histogram(runs: Sequence[tuple[str, str, Values]], slowest_shown: float) -> go.Figure:
    """Draw the distribution of the times of frames.

    Args:
        runs: name and colour of a run, and milliseconds of its frames; at least one.
        slowest_shown: end of the axis in milliseconds.
    """
    fastest = min(float(times.min()) for _, _, times in runs)
    bins = min(_MAX_BINS, 4 + round(2 * min(len(times) for _, _, times in runs) ** 0.5))
    edges = np.linspace(min(fastest, slowest_shown * 0.99), slowest_shown, bins + 1)
    figure = go.Figure()
    for name, color, times in runs:
        counts, _ = np.histogram(times, edges)
        shares = counts / len(times)
        figure.add_trace(
            go.Bar(
                x=np.round((edges[1:] + edges[:-1]) / 2, 4),
                y=np.round(shares, 5),
                customdata=np.round(np.stack([edges[:-1], edges[1:]], 1), 3),
                width=float(edges[1] - edges[0]),
                name=escape(name),
                marker={"color": color, "opacity": 1.0 if len(runs) == 1 else 0.55},
                hovertemplate="%{customdata[0]:.1f} to %{customdata[1]:.1f} ms<br>"
                f"<b>%{{y:.1%}}</b> of the frames<extra>{escape(name)}</extra>",
            )
        )
    figure.update_xaxes(title=axis_title("milliseconds"), range=[edges[0], edges[-1]])
    figure.update_yaxes(title=axis_title("frames"), tickformat=".0%", rangemode="tozero")
    figure.update_layout(barmode="overlay", bargap=0)
    return laid_out(figure, height=280)
