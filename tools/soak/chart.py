"""The figure of a run: memory, age, rate and load over time, with the faults behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tdnet_offline.report.figures import axis_title, laid_out, run_color
from tools.soak.run import RunSample

SHADES = {
    "load": "rgba(224, 112, 32, 0.28)",
    "burst": "rgba(202, 160, 28, 0.28)",
    "model swaps": "rgba(23, 162, 122, 0.26)",
    "broken messages": "rgba(92, 179, 230, 0.30)",
    "node killed": "rgba(200, 106, 168, 0.40)",
}
"""Colours behind the faults that change the curves."""

_PANEL_HEIGHT = 190
_AGE = "Age of the outputs, ms"
"""The panel with a logarithmic axis."""
_LOG_AXIS = {"type": "log", "tickvals": [d * 10**power for power in range(5) for d in (1, 3)]}
_PANELS: Mapping[str, Mapping[str, Callable[[RunSample], float | None]]] = {
    "Memory of the node, MiB": {
        "own": lambda s: s.usage.own_mib,
        "shared with the transport": lambda s: s.usage.shared_mib,
        "device": lambda s: s.device_mib,
    },
    _AGE: {
        "p50": lambda s: s.age.p50 if s.age else None,
        "p95": lambda s: s.age.p95 if s.age else None,
    },
    "Outputs per second": {"outputs": lambda s: s.rate},
    "Processors busy in the node": {"processors": lambda s: s.cpu},
}
"""Curves of each panel by name."""


def timeline_figure(samples: Sequence[RunSample]) -> go.Figure | None:
    """Draw the samples of a run; None without samples."""
    if not samples:
        return None
    panels = {title: _drawn(curves, samples) for title, curves in _PANELS.items()}
    figure = make_subplots(
        rows=len(panels),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.07,
        subplot_titles=[_title(title, list(curves)) for title, curves in panels.items()],
    )
    minutes = [round(sample.seconds / 60, 3) for sample in samples]
    for row, (title, curves) in enumerate(panels.items(), 1):
        for index, (name, values) in enumerate(curves.items()):
            curve = go.Scatter(
                x=minutes,
                y=values,
                name=name,
                mode="lines",
                line={"color": run_color(index), "width": 1.6},
                hovertemplate=f"%{{x:.1f}} min<br><b>%{{y:.4g}}</b><extra>{name}</extra>",
            )
            figure.add_trace(curve, row=row, col=1)
        axis = _LOG_AXIS if title == _AGE else {"rangemode": "tozero"}
        figure.update_yaxes(row=row, col=1, **axis)
    for low, high, fault in _spans(samples):
        if fault in SHADES:
            across = {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1}
            look = {"fillcolor": SHADES[fault], "line": {"width": 0}, "layer": "below"}
            figure.add_shape(x0=low / 60, x1=high / 60, **across, **look)
    laid_out(figure, height=_PANEL_HEIGHT * len(panels))
    figure.update_layout(margin={"t": 30})
    figure.update_xaxes(row=len(panels), col=1, title=axis_title("minutes"))
    figure.update_annotations(x=0, xanchor="left", font={"size": 13})
    return figure


def _drawn(
    curves: Mapping[str, Callable[[RunSample], float | None]], samples: Sequence[RunSample]
) -> dict[str, list[float | None]]:
    """Return the values of the curves that have any."""
    found = {}
    for name, get in curves.items():
        values = [get(sample) for sample in samples]
        if any(value is not None for value in values):
            found[name] = [None if value is None else round(value, 2) for value in values]
    return found


def _title(title: str, names: Sequence[str]) -> str:
    """Return the title of a panel, with the names of its curves in their colours."""
    keys = (f'<span style="color:{run_color(i)}">{name}</span>' for i, name in enumerate(names))
    return f"{title}: {', '.join(keys)}" if len(names) > 1 else title


def _spans(samples: Sequence[RunSample]) -> list[tuple[float, float, str]]:
    """Return begin and end in seconds, and the fault, of consecutive samples of one fault."""
    spans, begin = [], 0.0
    for fault, group in groupby(samples, lambda sample: sample.fault):
        end = list(group)[-1].seconds
        spans.append((begin, end, fault))
        begin = end
    return spans
