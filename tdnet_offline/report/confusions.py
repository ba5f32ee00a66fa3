"""Confusion matrices of an evaluation, and the confusions of most pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import Counts
from tdnet_offline.report.figures import laid_out, shown
from tdnet_offline.report.runs import EvaluationRun

_LISTED = 6
_MANY_CLASSES = 40
_TICK_CHARS = 18
_NO_CLASS = "no label"


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of a run, and a line for each of the confusions of most pixels."""

    run: EvaluationRun
    figure: go.Figure
    most: tuple[str, ...]


def make_confusion(run: EvaluationRun) -> Confusion | None:
    """Draw the confusions of a run, with the classes that occur; None without ground truth."""
    counts = metrics.total_confusion(run.evaluation)
    names = [name for _, name in sorted(run.evaluation.setting.class_names.items())]
    rows = np.flatnonzero(counts.sum(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(counts.sum(axis=0) + np.append(counts.sum(axis=1), 0))
    titles = [*names, _NO_CLASS]
    figure = _matrix(
        [names[row] for row in rows],
        [titles[column] for column in columns],
        counts[np.ix_(rows, columns)],
    )
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_LISTED]
    most = (
        f"{names[row]} labelled as {titles[column]}: "
        f"{wrong[row, column] / counts[row].sum():.1%} of its pixels"
        for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
        if wrong[row, column]
    )
    return Confusion(run, figure, tuple(most))


def _matrix(rows: Sequence[str], columns: Sequence[str], counts: Counts) -> go.Figure:
    """Draw a confusion matrix (rows, columns) of pixels; a row shows shares of its pixels."""
    shares = counts / counts.sum(1, keepdims=True)
    percent = np.round(100 * shares).astype(int)
    figure = go.Figure(
        go.Heatmap(
            x=shown(columns),
            y=shown(rows),
            z=shares.astype(np.float32),
            customdata=counts,
            text=np.where(percent, percent.astype(str), ""),
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
    return laid_out(figure, height=110 + cell * len(rows))


def _ticks(names: Sequence[str]) -> dict[str, Any]:
    """Shorten long names, which would leave no room for the matrix; hovering shows them."""
    short = [n if len(n) <= _TICK_CHARS else f"{n[: _TICK_CHARS - 1]}…" for n in names]
    return {"tickmode": "array", "tickvals": list(range(len(names))), "ticktext": shown(short)}
