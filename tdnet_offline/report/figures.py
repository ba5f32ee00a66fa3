"""Plotly figures that several pages share, and their layout; `page.js` sets the colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

RUN_COLORS = ("#2080c8", "#e07020", "#17a27a", "#c86aa8", "#caa01c", "#5cb3e6")
"""Colours of lines and bars; distinct for colour-blind readers, on white and on black."""
LIMIT_COLOR = "#d1603d"
AFTER = "after the labels"
"""Stage of the work for the next frame, after the labels are out."""
STAGE_COLORS = {
    "wait": "#b6bdc9",
    "convert": "#8d6cab",
    "preprocess": "#7aa6d8",
    "network": "#3f7fc4",
    "postprocess": "#2a9d8f",
    "overlay": "#e9a23b",
    "download": "#e9a23b",
    "publish": "#d1603d",
    AFTER: "#b6bdc9",
}
_OTHER_COLOR = "#8a94a3"
# Points are marked only where they do not hide the line.
_MAX_MARKERS = 60


@dataclass(frozen=True)
class Line:
    """A line of a figure: a name, ``#rrggbb``, and points."""

    name: str
    color: str
    x: Sequence[float]
    y: Sequence[float]


def run_color(index: int) -> str:
    """Return the colour of the run with an index from 0; colours repeat."""
    return RUN_COLORS[index % len(RUN_COLORS)]


def stage_color(name: str) -> str:
    """Return the colour of a stage of a frame."""
    return STAGE_COLORS.get(name, _OTHER_COLOR)


def stage_figure(bars: Sequence[tuple[str, Mapping[str, float]]]) -> go.Figure:
    """Draw milliseconds by stage as stacked bars.

    Args:
        bars: name of each bar (may be empty) and its stages in order; at least one.
    """
    figure = go.Figure()
    rows = shown([name or " " for name, _ in bars])
    for stage in dict.fromkeys(stage for _, stages in bars for stage in stages):
        figure.add_bar(
            x=[round(stages.get(stage, 0.0), 4) for _, stages in bars],
            y=rows,
            name=escape(stage),
            orientation="h",
            marker={"color": stage_color(stage)},
            hovertemplate=f"{escape(stage)}: <b>%{{x:.2f}} ms</b><extra>%{{y}}</extra>",
        )
    figure.update_xaxes(title=axis_title("milliseconds, median"), rangemode="tozero")
    figure.update_yaxes(
        autorange="reversed", showgrid=False, showticklabels=any(name for name, _ in bars)
    )
    figure.update_layout(barmode="stack", bargap=0.3)
    return laid_out(figure, height=84 + 38 * len(bars))


def latency_figure(lines: Sequence[Line], x_title: str, limit_ms: float = 0.0) -> go.Figure:
    """Draw the milliseconds of each frame.

    Args:
        lines: one for each run; at least one.
        x_title: title of the horizontal axis.
        limit_ms: height of a dashed line; 0: no line.
    """
    figure = go.Figure()
    for line in lines:
        name = escape(line.name)
        figure.add_scatter(
            x=[round(value, 3) for value in line.x],
            y=[round(value, 3) for value in line.y],
            name=name,
            mode="lines+markers" if len(line.x) < _MAX_MARKERS else "lines",
            line={"color": line.color, "width": 1.8},
            marker={"color": line.color, "size": 5},
            hovertemplate=f"{x_title} %{{x}}<br><b>%{{y:.2f}} ms</b><extra>{name}</extra>",
        )
    if limit_ms:
        figure.add_hline(limit_ms, line={"width": 1.5, "dash": "dash", "color": LIMIT_COLOR})
    figure.update_xaxes(title=axis_title(x_title))
    figure.update_yaxes(title=axis_title("milliseconds"), rangemode="tozero")
    return laid_out(figure, height=260)


def laid_out(figure: go.Figure, height: int) -> go.Figure:
    """Set the layout that all figures have; returns the figure."""
    figure.update_layout(
        template=None,
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        # The page has the legend.
        showlegend=False,
    )
    figure.update_xaxes(automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=False, fixedrange=True, ticksuffix=" ")
    return figure


def axis_title(text: str) -> dict[str, Any]:
    """Return the title of an axis."""
    return {"text": text, "font": {"size": 12}, "standoff": 8}


def shown(names: Sequence[str]) -> list[str]:
    """Escape names, since plotly interprets markup in texts."""
    return [escape(name) for name in names]
