"""The figures of a benchmark's page, in the manner of the evaluation's."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from tdnet_offline.benchmark.result import Run
from tdnet_offline.report.runs import COLORS

STAGE_COLORS = {
    "preprocess": "#7aa6d8",
    "network": "#3f7fc4",
    "postprocess": "#2a9d8f",
    "download": "#e9a23b",
}
AFTER, AFTER_COLOR = "after the labels", "#b6bdc9"
FLOOR, FLOOR_COLOR = "arithmetic floor", "#d1603d"
OTHER_COLOR = "#8d6cab"
PLAIN = "plain float32"


def stage_figure(runs: Sequence[Run]) -> go.Figure:
    """Draw the median time of each stage as bars one behind the other, a bar for each run.

    Args:
        runs: of one network at one size on one device; at least one.
    """
    names = [PLAIN, *(escape(run.setting.numbers) for run in runs)]
    ours = [{name: found.p50 for name, found in run.stages_ms.items()} for run in runs]
    plain = {name: found.p50 for name, found in runs[0].versus.plain_stages_ms.items()}
    bars = [plain, *ours]
    figure = go.Figure()
    for stage in dict.fromkeys(stage for bar in ours for stage in bar):
        color = STAGE_COLORS.get(stage, OTHER_COLOR)
        figure.add_trace(_bar(stage, color, names, [bar.get(stage, 0.0) for bar in bars]))
    after = [0.0, *(run.after_ms.p50 for run in runs)]
    figure.add_trace(_bar(AFTER, AFTER_COLOR, names, after))
    figure.add_trace(
        go.Scatter(
            x=[run.floor_ms for run in runs],
            y=names[1:],
            mode="markers",
            name=FLOOR,
            marker={
                "symbol": "line-ns",
                "size": 26,
                "line": {"width": 3, "color": FLOOR_COLOR},
            },
            hovertemplate="%{x:.2f} ms at the peak of the device<extra></extra>",
        )
    )
    figure.update_xaxes(title=_title("milliseconds, median"), rangemode="tozero")
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(barmode="stack", bargap=0.35)
    return _laid_out(figure, height=80 + 46 * len(names))


def latency_figure(runs: Sequence[Run]) -> go.Figure:
    """Draw the time of every frame, a line for each run.

    Args:
        runs: of one network at one size on one device; at least one.
    """
    figure = go.Figure()
    for run, color in zip(runs, run_colors(len(runs)), strict=True):
        name = escape(run.setting.numbers)
        times = [round(value, 3) for value in run.latencies_ms]
        figure.add_trace(
            go.Scatter(
                x=list(range(len(times))),
                y=times,
                name=name,
                mode="lines+markers" if len(times) < 60 else "lines",
                line={"color": color, "width": 1.8},
                marker={"color": color, "size": 5},
                hovertemplate=f"frame %{{x}}<br><b>%{{y:.2f}} ms</b><extra>{name}</extra>",
            )
        )
    figure.update_xaxes(title=_title("frame"))
    figure.update_yaxes(title=_title("ms"), rangemode="tozero")
    return _laid_out(figure, height=240)


def run_colors(count: int) -> list[str]:
    """Give so many colours."""
    return [COLORS[index % len(COLORS)] for index in range(count)]


def _bar(name: str, color: str, rows: Sequence[str], values: Sequence[float]) -> go.Bar:
    return go.Bar(
        x=[round(value, 4) for value in values],
        y=rows,
        name=name,
        orientation="h",
        marker={"color": color},
        hovertemplate=f"{name}: <b>%{{x:.2f}} ms</b><extra>%{{y}}</extra>",
    )


def _title(text: str) -> dict[str, object]:
    return {"text": text, "font": {"size": 12}, "standoff": 8}


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        template=None, height=height, margin={"l": 8, "r": 8, "t": 8, "b": 8}, showlegend=False
    )
    figure.update_xaxes(automargin=True, zeroline=False, fixedrange=True)
    figure.update_yaxes(automargin=True, zeroline=False, fixedrange=True, ticksuffix=" ")
    return figure
