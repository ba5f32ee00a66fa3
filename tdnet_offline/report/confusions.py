"""The confusion matrices of a report, and the confusions that cost most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdnet_offline.evaluation import metrics
from tdnet_offline.report.figures import confusion_figure
from tdnet_offline.report.runs import Run

_LISTED = 6
_NO_CLASS = "no label"


@dataclass(frozen=True)
class Confusion:
    """One run's matrix.

    Attributes:
        run: whose it is.
        figure: plotly's JSON.
        most: lines on the confusions of most pixels.
    """

    run: Run
    figure: str
    most: tuple[str, ...]


def make_confusion(run: Run) -> Confusion | None:
    """Draw the confusions of a run, with the classes that occur; None without labels."""
    counts = metrics.total_confusion(run.evaluation)
    names = [name for _, name in sorted(run.evaluation.setting.class_names.items())]
    rows = np.flatnonzero(counts.sum(axis=1))
    if not len(rows):
        return None
    columns = np.flatnonzero(counts.sum(axis=0) + np.append(counts.sum(axis=1), 0))
    titles = [*names, _NO_CLASS]
    figure = confusion_figure(
        [names[row] for row in rows],
        [titles[column] for column in columns],
        counts[np.ix_(rows, columns)],
    )
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_LISTED]
    most = []
    for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[row, column]:
            share = wrong[row, column] / counts[row].sum()
            most.append(f"{names[row]} labelled as {titles[column]}: {share:.1%} of its pixels")
    return Confusion(run, figure.to_json(), tuple(most))
