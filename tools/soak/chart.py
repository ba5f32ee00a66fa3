"""The figure of a run: memory, age, rate and load over time, with the faults behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
_LINEAR = {"rangemode": "tozero"}
_LOG_TICKS = [digit * 10**power for power in range(5) for digit in (1, 3)]


@dataclass(frozen=True)
class _Panel:
    """One row of the figure: its title, and its curves by name."""

    title: str
    curves: Mapping[str, Callable[[RunSample], float | None]]
    logarithmic: bool = False


_PANELS = (
    _Panel(
        "Memory of the node, MiB",
        {
            "own": lambda s: s.usage.own_mib,
            "shared with the transport": lambda s: s.usage.shared_mib,
            "device": lambda s: s.device_mib,
        },
    ),
    _Panel(
        "Age of the outputs, ms",
        {
            "p50": lambda s: s.age.p50 if s.age and s.stamps_are_now else None,
            "p95": lambda s: s.age.p95 if s.age and s.stamps_are_now else None,
        },
        logarithmic=True,
    ),
    _Panel("Outputs per second", {"outputs": lambda s: s.rate}),
    _Panel("Processors busy in the node", {"processors": lambda s: s.cpu}),
)


def timeline_figure(samples: Sequence[RunSample]) -> go.Figure | None:
    """Draw the samples of a run; None without samples."""
    if not samples:
        return None
    figure = make_subplots(
        rows=len(_PANELS),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.07,
        subplot_titles=[_title(panel, samples) for panel in _PANELS],
    )
    minutes = [round(sample.seconds / 60, 3) for sample in samples]
    for row, panel in enumerate(_PANELS, 1):
        for index, (name, values) in enumerate(_curves(panel, samples)):
            figure.add_trace(
                go.Scatter(
                    x=minutes,
                    y=[None if value is None else round(value, 2) for value in values],
                    name=name,
                    mode="lines",
                    line={"color": run_color(index), "width": 1.6},
                    hovertemplate=f"%{{x:.1f}} min<br><b>%{{y:.4g}}</b><extra>{name}</extra>",
                ),
                row=row,
                col=1,
            )
        axis = {"type": "log", "tickvals": _LOG_TICKS} if panel.logarithmic else _LINEAR
        figure.update_yaxes(row=row, col=1, **axis)
    for low, high, fault in _spans(samples):
        if fault in SHADES:
            figure.add_shape(
                type="rect",
                xref="x",
                yref="paper",
                x0=low / 60,
                x1=high / 60,
                y0=0,
                y1=1,
                fillcolor=SHADES[fault],
                line={"width": 0},
                layer="below",
            )
    laid_out(figure, height=_PANEL_HEIGHT * len(_PANELS))
    figure.update_layout(margin={"t": 30})
    figure.update_xaxes(row=len(_PANELS), col=1, title=axis_title("minutes"))
    figure.update_annotations(x=0, xanchor="left", font={"size": 13})
    return figure


def _curves(
    panel: _Panel, samples: Sequence[RunSample]
) -> list[tuple[str, Sequence[float | None]]]:
    """Return the curves of a panel that have values."""
    curves = [(name, [get(sample) for sample in samples]) for name, get in panel.curves.items()]
    return [(name, found) for name, found in curves if any(v is not None for v in found)]


def _title(panel: _Panel, samples: Sequence[RunSample]) -> str:
    """Return the title of a panel, with the names of its curves in their colours."""
    names = [name for name, _ in _curves(panel, samples)]
    if len(names) < 2:
        return panel.title
    keys = (f'<span style="color:{run_color(i)}">{name}</span>' for i, name in enumerate(names))
    return f"{panel.title}: {', '.join(keys)}"


def _spans(samples: Sequence[RunSample]) -> list[tuple[float, float, str]]:
    """Return begin and end in seconds, and the fault, of consecutive samples of one fault."""
    spans, begin = [], 0.0
    for fault, group in groupby(samples, lambda sample: sample.fault):
        end = list(group)[-1].seconds
        spans.append((begin, end, fault))
        begin = end
    return spans
