"""The times of a report: percentiles by stage, medians as a bar, and their distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tdnet_offline.evaluation import metrics
from tdnet_offline.report.figures import latency_figure
from tdnet_offline.report.runs import Run
from tdnet_offline.report.table import BARE_TIME, Row, Table, make_cells, milliseconds, number_of

TOTAL = "total"
_PERCENTILES = ("p50", "p95", "p99")
_COLORS = ("#7aa6d8", "#3f7fc4", "#2a9d8f", "#e9a23b", "#d1603d", "#8d6cab", "#b6bdc9")
# The first frames may be so slow that they would squeeze all others together.
_SHOWN_PERCENTILE = 99.5


@dataclass(frozen=True)
class StagePart:
    """One stage in the bar of a run: its part of the median times."""

    name: str
    text: str
    share: float
    color: str


@dataclass(frozen=True)
class LatencySection:
    """What a report says of times; `figure` is plotly's JSON."""

    table: Table
    bars: tuple[tuple[StagePart, ...], ...]
    figure: str
    note: str


def make_latency(runs: Sequence[Run]) -> LatencySection | None:
    """Sum up the times of the frames; None if none was segmented."""
    stages = [metrics.stage_percentiles(run.evaluation) for run in runs]
    names = [n for n in dict.fromkeys(n for found in stages for n in found) if n != TOTAL]
    colors = {name: _COLORS[index % len(_COLORS)] for index, name in enumerate(names)}
    times = [
        (run.name, run.color, np.array(totals, np.float64))
        for run in runs
        if (totals := [r.stages_ms[TOTAL] for r in run.evaluation.frames if TOTAL in r.stages_ms])
    ]
    if not times:
        return None
    end = max(float(np.percentile(values, _SHOWN_PERCENTILE)) for _, _, values in times)
    note = "From picture to labels; the bar shows the medians."
    beyond = sum(int((values > end).sum()) for _, _, values in times)
    if beyond:
        slowest = max(float(values.max()) for _, _, values in times)
        note += (
            f" Beyond the right edge of the histogram: {number_of(beyond, 'frame')}, up to "
            f"{milliseconds(slowest)}."
        )
    return LatencySection(
        table=_table(runs, names, colors, stages),
        bars=tuple(_bar(found, colors) for found in stages if found),
        figure=latency_figure(times, end).to_json(),
        note=note,
    )


def _table(
    runs: Sequence[Run],
    names: Sequence[str],
    colors: dict[str, str],
    stages: Sequence[dict[str, metrics.Percentiles]],
) -> Table:
    rows = [
        _row(name, [found.get(name) for found in stages], colors.get(name, ""))
        for name in (*names, TOTAL)
    ]
    ages = [metrics.age_percentiles(run.evaluation) for run in runs]
    if any(ages):
        rows.append(_row("age", ages, note="when the labels came after the frame was due"))
    return Table(tuple(f"{which}, ms" for which in _PERCENTILES), tuple(rows))


def _row(
    name: str, found: Sequence[metrics.Percentiles | None], color: str = "", note: str = ""
) -> Row:
    groups = [
        make_cells([None if p is None else getattr(p, which) for p in found], BARE_TIME)
        for which in _PERCENTILES
    ]
    return Row(name, tuple(groups), color, note)


def _bar(found: dict[str, metrics.Percentiles], colors: dict[str, str]) -> tuple[StagePart, ...]:
    medians = {name: percentiles.p50 for name, percentiles in found.items() if name != TOTAL}
    whole = sum(medians.values()) or 1.0
    return tuple(
        StagePart(name, milliseconds(median), median / whole, colors[name])
        for name, median in medians.items()
    )
