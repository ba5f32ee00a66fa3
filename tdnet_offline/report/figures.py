"""The charts of a report as plotly figures; `page.js` draws them in the colours of the theme."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from tdnet_offline.report.timeline import Curve, Timeline

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_MAX_BINS = 48
_MANY_CLASSES = 40
_TICK_CHARS = 18
MAX_MARKS = 40
"""Of one kind in a curve; more would hide it."""
# Above the highest and below the lowest value, as a share.
_ROOM = 0.04


def confusion_figure(rows: Sequence[str], columns: Sequence[str], counts: Counts) -> go.Figure:
    """Draw a confusion matrix, each row as shares of its true pixels.

    Args:
        rows: names of the true classes.
        columns: names of the given ones.
        counts: (rows, columns) pixels; every row has some.
    """
    shares = counts / counts.sum(1, keepdims=True)
    percent = np.round(100 * shares).astype(int)
    figure = go.Figure(
        go.Heatmap(
            x=_shown(columns),
            y=_shown(rows),
            z=shares.astype(np.float32),
            customdata=counts,
            text=[[str(value) if value else "" for value in row] for row in percent],
            hovertemplate="<b>%{y}</b> labelled as <b>%{x}</b><br>%{z:.2%} of its pixels"
            "<br>%{customdata:,} pixels<extra></extra>",
            zmin=0,
            zmax=1,
            xgap=1,
            ygap=1,
            showscale=False,
        )
    )
    figure.update_xaxes(tickangle=-90, showgrid=False, **_ticks(columns))
    figure.update_yaxes(autorange="reversed", showgrid=False, **_ticks(rows))
    cell = 26 if len(rows) <= _MANY_CLASSES else 14
    return _laid_out(figure, height=110 + cell * len(rows))


def curve_figure(
    curves: Sequence[tuple[str, str, Curve]], timeline: Timeline, resets: Sequence[int]
) -> go.Figure:
    """Draw shares over the frames, a line a run.

    Args:
        curves: name and colour of a run, and its values from 0 to 1; at least one.
        timeline: where the videos begin.
        resets: positions before which the memory was emptied within a video; marked.
    """
    lowest = min(float(curve.lowest.min()) for _, _, curve in curves)
    highest = max(float(curve.highest.max()) for _, _, curve in curves)
    shown = [max(0.0, lowest - _ROOM), min(1.0, highest + _ROOM)]
    figure = go.Figure()
    for name, color, curve in curves:
        if curve.frames_a_point > 1:
            figure.add_trace(_band(name, color, curve))
        hover = "%{text}<br>" if curve.names else "from frame %{x}<br>"
        figure.add_trace(
            go.Scatter(
                x=curve.positions,
                y=curve.mean.astype(np.float32),
                text=_shown(curve.names) if curve.names else None,
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
        figure.add_trace(_reset_marks(resets, shown[0]))
    figure.update_yaxes(tickformat=".0%", range=shown)
    figure.update_xaxes(range=[-0.5, max(timeline.length - 0.5, 0.5)], title=_title("frame"))
    figure.update_layout(hovermode="closest")
    return _laid_out(figure, height=300)


def latency_figure(runs: Sequence[tuple[str, str, Values]], slowest_shown: float) -> go.Figure:
    """Draw how the frames' times are distributed.

    Args:
        runs: name and colour of a run, and milliseconds of its frames; at least one.
        slowest_shown: milliseconds at which the axis ends.
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
    figure.update_xaxes(title=_title("milliseconds"), range=[edges[0], edges[-1]])
    figure.update_yaxes(title=_title("frames"), tickformat=".0%", rangemode="tozero")
    figure.update_layout(barmode="overlay", bargap=0)
    return _laid_out(figure, height=280)


def _band(name: str, color: str, curve: Curve) -> go.Scatter:
    """From the lowest to the highest value of the frames of each point."""
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


def _title(text: str) -> dict[str, Any]:
    return {"text": text, "font": {"size": 12}, "standoff": 8}


def _ticks(names: Sequence[str]) -> dict[str, Any]:
    """Long names would leave no room for the matrix; hovering shows them in full."""
    short = [n if len(n) <= _TICK_CHARS else f"{n[: _TICK_CHARS - 1]}…" for n in names]
    return {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": _shown(short)}


def _shown(names: Sequence[str]) -> list[str]:
    """Plotly reads markup in texts: names are to be seen as they are."""
    return [escape(name) for name in names]


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        template=None,
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        # The page names the runs, above its sections and on hovering.
        showlegend=False,
    )
    figure.update_xaxes(automargin=True, zeroline=False, fixedrange=False)
    figure.update_yaxes(automargin=True, zeroline=False, fixedrange=True)
    return figure
