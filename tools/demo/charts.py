"""Small charts as SVG text, embedded in the page."""

from __future__ import annotations

from collections.abc import Sequence

from tools.harness.axis import round_step

STAGE_COLORS = {
    "wait": "#b6bdc9",
    "convert": "#7aa6d8",
    "preprocess": "#3f7fc4",
    "network": "#1f4e8c",
    "postprocess": "#2a9d8f",
    "overlay": "#e9a23b",
    "publish": "#d1603d",
}
_WIDTH = 1000
_PLOT_HEIGHT, _LEFT, _BOTTOM, _TOP = 230, 64, 34, 16


def latency_plot(points: Sequence[tuple[float, float]], budget_ms: float) -> str:
    """Draw the latency of each frame over time, and the frame period as a line.

    Args:
        points: Seconds since the first frame, and milliseconds.
        budget_ms: Milliseconds between two frames; 0: no line.
    """
    if not points:
        return ""
    seconds = max(point[0] for point in points) or 1.0
    highest = max([value for _, value in points] + [budget_ms]) * 1.1 or 1.0
    step = round_step(highest / 4)
    scale_x = (_WIDTH - _LEFT - 12) / seconds
    scale_y = (_PLOT_HEIGHT - _BOTTOM - _TOP) / highest
    base = _PLOT_HEIGHT - _BOTTOM

    def at(time: float, value: float) -> tuple[float, float]:
        return _LEFT + time * scale_x, base - value * scale_y

    parts = []
    for index in range(int(highest / step) + 1):
        _, y = at(0, index * step)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 12}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
            f'<text x="{_LEFT - 10}" y="{y + 6:.1f}" text-anchor="end">{index * step:g}</text>'
        )
    second_step = round_step(seconds / 5)
    for index in range(int(seconds / second_step + 1e-9) + 1):
        x, _ = at(index * second_step, 0)
        parts.append(
            f'<text x="{x:.1f}" y="{_PLOT_HEIGHT - 8}" text-anchor="middle">'
            f"{index * second_step:g} s</text>"
        )
    if budget_ms:
        _, y = at(0, budget_ms)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 12}" y1="{y:.1f}" y2="{y:.1f}" class="budget"/>'
        )
    line = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in points)
    parts.append(f'<polyline points="{line}" class="curve"/>')
    parts += [
        '<circle cx="{:.1f}" cy="{:.1f}" r="2.6" class="dot"/>'.format(*at(*point))
        for point in points
    ]
    return (
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_PLOT_HEIGHT}" role="img" '
        f'aria-label="latency of each frame">{"".join(parts)}</svg>'
    )
