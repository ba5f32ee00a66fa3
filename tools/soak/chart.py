"""The plot of a run as SVG: memory, age and rate over time, with the faults behind them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tools.harness.axis import round_step
from tools.soak.run import RunSample

_WIDTH, _LEFT, _RIGHT = 1000, 70, 16
_PANEL, _GAP, _TOP, _BOTTOM = 150, 44, 56, 40
_SHADES = {
    "load": "#f3d9c9",
    "burst": "#fbeecb",
    "model swaps": "#dcebd9",
    "broken messages": "#dbe4f3",
    "node killed": "#e9c9d6",
}
_STYLE = (
    "text{font:13px sans-serif;fill:#333}.title{font-weight:600;font-size:14px}"
    ".grid{stroke:#ddd;stroke-width:1}.a{fill:none;stroke:#1f4e8c;stroke-width:1.8}"
    ".b{fill:none;stroke:#d1603d;stroke-width:1.2}.c{fill:none;stroke:#2a9d8f;stroke-width:1.2}"
    ".ka{fill:#1f4e8c}.kb{fill:#d1603d}.kc{fill:#2a9d8f}"
)


@dataclass(frozen=True)
class _Panel:
    """One of the plots: curves by name; logarithmic from 10 on, or linear from 0."""

    title: str
    curves: Mapping[str, Callable[[RunSample], float | None]]
    logarithmic: bool = False

    def ticks(self, values: Sequence[float]) -> list[float]:
        """Values at which a line is drawn, the last at the top."""
        highest = max([*values, 1e-3])
        if self.logarithmic:
            decades = math.ceil(math.log10(max(highest, 11.0)))
            return [10.0**power for power in range(1, decades + 1)]
        step = round_step(highest / 4)
        return [step * index for index in range(math.ceil(highest / step - 1e-9) + 1)]

    def height(self, value: float, top: float) -> float:
        """Where a value stands between the foot, 0, and the top, 1."""
        if self.logarithmic:
            return math.log10(max(value, 10.0) / 10.0) / math.log10(top / 10.0)
        return value / top


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
        "Age of the outputs, stamp to publication, ms",
        {
            "p50": lambda s: s.age.p50 if s.age and s.stamps_are_now else None,
            "p95": lambda s: s.age.p95 if s.age and s.stamps_are_now else None,
        },
        logarithmic=True,
    ),
    _Panel("Outputs a second", {"outputs": lambda s: s.rate}),
    _Panel("Processors busy in the node", {"processors": lambda s: s.cpu}),
)


def chart(samples: Sequence[RunSample]) -> str:
    """Draw the samples of a run."""
    height = _TOP + len(_PANELS) * (_PANEL + _GAP) - _GAP + _BOTTOM
    end = samples[-1].seconds if samples else 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / end
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="the node under faults over time"><style>{_STYLE}</style>'
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>'
    ]
    parts += _key()
    shades = _shades(samples, scale)
    for index, panel in enumerate(_PANELS):
        top = _TOP + index * (_PANEL + _GAP)
        parts += [
            f'<rect x="{x:.1f}" y="{top}" width="{width:.1f}" height="{_PANEL}" fill="{fill}"/>'
            for x, width, fill in shades
        ]
        parts += _draw(panel, samples, top, scale)
    step = round_step(end / 60 / 7)
    for number in range(int(end / 60 / step + 1e-9) + 1):
        x = _LEFT + number * step * 60 * scale
        time = f"{number * step:g} min"
        parts.append(f'<text x="{x:.1f}" y="{height - 16}" text-anchor="middle">{time}</text>')
    return "".join((*parts, "</svg>\n"))


def _key() -> list[str]:
    parts, x = [], _LEFT
    for name, fill in _SHADES.items():
        parts.append(
            f'<rect x="{x}" y="10" width="16" height="16" fill="{fill}"/>'
            f'<text x="{x + 22}" y="23">{name}</text>'
        )
        x += 40 + 9 * len(name)
    return parts


def _shades(samples: Sequence[RunSample], scale: float) -> list[tuple[float, float, str]]:
    """Left edge, width and colour behind the samples of some faults."""
    found = []
    for before, sample in pairwise(samples):
        if sample.fault in _SHADES:
            x, width = _LEFT + before.seconds * scale, (sample.seconds - before.seconds) * scale
            found.append((x, width, _SHADES[sample.fault]))
    return found


def _draw(panel: _Panel, samples: Sequence[RunSample], top: float, scale: float) -> list[str]:
    values = {
        name: [(sample.seconds, get(sample)) for sample in samples]
        for name, get in panel.curves.items()
    }
    given = {
        name: points for name, points in values.items() if any(v is not None for _, v in points)
    }
    ticks = panel.ticks([v for points in given.values() for _, v in points if v is not None])
    base = top + _PANEL

    def y_of(value: float) -> float:
        return base - panel.height(value, ticks[-1]) * _PANEL

    parts = [f'<text class="title" x="{_LEFT}" y="{top - 8}">{panel.title}</text>']
    for tick in ticks:
        y = y_of(tick)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
            f'<text x="{_LEFT - 8}" y="{y + 5:.1f}" text-anchor="end">{tick:g}</text>'
        )
    x = _WIDTH - _RIGHT
    for mark, (name, points) in reversed(list(zip("abc", given.items(), strict=False))):
        path = _path(points, scale, y_of)
        parts.append(f'<path class="{mark}" d="{path}"/>')
        if len(given) > 1:
            parts.append(
                f'<text class="k{mark}" x="{x}" y="{top - 8}" text-anchor="end">{name}</text>'
            )
            x -= 16 + 7 * len(name)
    return parts


def _path(
    points: Sequence[tuple[float, float | None]], scale: float, y_of: Callable[[float], float]
) -> str:
    """One line, interrupted where there is no value."""
    pieces, pen = [], "M"
    for seconds, value in points:
        if value is None:
            pen = "M"
            continue
        pieces.append(f"{pen}{_LEFT + seconds * scale:.1f} {y_of(value):.1f}")
        pen = "L"
    return "".join(pieces)
