"""Flat models on the ground: lane marks, crosswalks, rails, paving slabs, crossing roads."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tdnet_offline.street.ground import GroundColours
from tdnet_offline.street.layout import BLOCK_LENGTH, CROSSING_LENGTH, KERB_HEIGHT, Layout
from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import Colour, Model, ModelBuilder, Span, palette

_PIECE = 8.0
"""Metres between the bends of a long strip."""
_CROSSING_REACH = 140.0
_WHITE, _RAIL_BED, _RAIL = palette("e2e2de 464648 b2b4b8")


def _colour(values: np.ndarray) -> Colour:
    r, g, b = values.tolist()
    return r, g, b


class _FlatBuilder(ModelBuilder):
    """Adds rectangles on the ground."""

    def patch(
        self, x: Span, y: Span, colour: Colour, material: Material, height: float = 0.0
    ) -> None:
        """Add a rectangle in pieces that follow the street's bends."""
        self.material = material
        pieces = max(1, int(np.ceil((y[1] - y[0]) / _PIECE)))
        for start, end in pairwise(np.linspace(y[0], y[1], pieces + 1).tolist()):
            corners = [(x[0], start), (x[1], start), (x[1], end), (x[0], end)]
            self.polygon([(*corner, height) for corner in corners], colour)

    def line(self, x: float, y: Span, half: float) -> None:
        """Add a white line along the street, ``half`` metres to both sides of ``x``."""
        self.patch((x - half, x + half), y, _WHITE, Material.MARKING)

    def dashes(self, x: float, start: float, end: float) -> None:
        """Add a broken white line along the street."""
        for y in np.arange(np.ceil(start / 8.0) * 8.0, end - 2.9, 8.0).tolist():
            self.line(x, (y, y + 3.2), 0.08)


def block_markings(
    rng: np.random.Generator, layout: Layout, colours: GroundColours, block: int
) -> Model:
    """Return the markings of a block, its start at y = 0."""
    build = _FlatBuilder(Material.ROAD)
    start = CROSSING_LENGTH if layout.is_crossing(block) else 0.0
    end = BLOCK_LENGTH
    for _ in range(int(rng.integers(2, 6))):
        x, y = rng.uniform(-layout.kerb(-1), layout.kerb(1) - 1.5), rng.uniform(start, end - 8)
        tone = _colour(colours.road * rng.uniform(0.78, 1.1))
        width, length = rng.uniform(0.5, 1.8), rng.uniform(1.0, 7.0)
        build.patch((x, x + width), (y, y + length), tone, Material.ROAD)
    if layout.median:
        edge = layout.median / 2 - 0.25
        build.patch((-edge, edge), (0.0, end), _colour(colours.road * 1.14), Material.ROAD)
        for x in (-1.65 - 0.72, -1.65 + 0.72, 1.65 - 0.72, 1.65 + 0.72):
            build.patch((x - 0.09, x + 0.09), (0.0, end), _RAIL_BED, Material.ROAD)
            build.patch((x - 0.03, x + 0.03), (0.0, end), _RAIL, Material.ROAD)
    if start > 0.0:
        _add_crossing(build, layout, colours, start)
    first_dash = start + (3.5 if start else 0.0)
    if not layout.median:
        build.dashes(0.0, first_dash, end)
    for sign in (-1, 1):
        for lane in range(1, layout.lanes):
            build.dashes(sign * (layout.median / 2 + lane * layout.lane_width), first_dash, end)
        if layout.median:
            build.line(sign * layout.median / 2, (start, end), 0.07)
        if layout.side(sign).parking:
            x = sign * layout.carriageway
            build.line(x, (start, end), 0.06)
            for y in np.arange(start + 6.0, end, 6.0).tolist():
                across = sorted((x, sign * layout.kerb(sign)))
                build.patch(across, (y, y + 0.1), _WHITE, Material.MARKING)
    build.material = Material.ROAD
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(-layout.carriageway, layout.carriageway), rng.uniform(start, end)
        turns = np.arange(10) * (2 * np.pi / 10)
        ring = [(x + 0.34 * np.cos(t), y + 0.34 * np.sin(t), 0.0) for t in turns]
        build.polygon(ring, _colour(colours.road * 0.62))
    return build.build((-1.0, 1.0, 0.0, end))


def _add_crossing(
    build: _FlatBuilder, layout: Layout, colours: GroundColours, length: float
) -> None:
    """Add the street that crosses, its kerbs, crosswalks and stop lines."""
    road, paved = _colour(colours.road * 1.01), _colour(colours.sidewalk)
    low, high, middle = 4.2, length - 4.2, length / 2
    for sign in (-1, 1):
        across = inner, outer = sorted((sign * layout.kerb(sign), sign * _CROSSING_REACH))
        # The street's own sidewalks turn the corner on both sides of the crossing road.
        build.patch(across, (0.0, low), paved, Material.SIDEWALK, KERB_HEIGHT)
        build.patch(across, (high, length), paved, Material.SIDEWALK, KERB_HEIGHT)
        build.patch(across, (low, high), road, Material.ROAD)
        foot, top = (inner, high, 0.0), (outer, high, KERB_HEIGHT)
        face = [foot, (outer, high, 0.0), top, (inner, high, KERB_HEIGHT)]
        build.material = Material.KERB
        build.polygon(face, _colour(colours.kerb * 0.85), two_sided=True)
        for x in np.arange(layout.building_line(sign) + 4.0, _CROSSING_REACH, 8.0).tolist():
            dash = sorted((sign * x, sign * (x + 3.2)))
            build.patch(dash, (middle - 0.08, middle + 0.08), _WHITE, Material.MARKING)
    for y in (0.6, length - 3.4):
        for x in np.arange(-layout.kerb(-1) + 0.3, layout.kerb(1) - 0.6, 1.0).tolist():
            if abs(x + 0.25) > layout.median / 2 - 0.4:
                build.patch((x, x + 0.5), (y, y + 2.8), _WHITE, Material.MARKING)
    inner, outer = layout.median / 2 + 0.1, layout.carriageway - 0.1
    build.patch((inner, outer), (-1.0, -0.6), _WHITE, Material.MARKING)
    build.patch((-outer, -inner), (length + 0.6, length + 1.0), _WHITE, Material.MARKING)


def block_joints(layout: Layout, colours: GroundColours, block: int) -> Model:
    """Return the joints between a block's paving slabs, only worth painting close by."""
    build = _FlatBuilder(Material.SIDEWALK)
    start = CROSSING_LENGTH if layout.is_crossing(block) else 0.0
    dark = _colour(colours.sidewalk * 0.84)
    for sign in (-1, 1):
        green = layout.side(sign).green_verge
        near = layout.sidewalk_start(sign) if green else layout.kerb(sign) + 0.16
        low, high = sorted((sign * near, sign * layout.sidewalk_end(sign)))
        joints = [((low, high), (y, y + 0.02)) for y in np.arange(start, BLOCK_LENGTH).tolist()]
        edges = np.arange(low + 1.0, high - 0.3).tolist()
        joints += [((x, x + 0.02), (start, BLOCK_LENGTH)) for x in edges]
        for x, y in joints:
            build.patch(x, y, dark, Material.SIDEWALK, KERB_HEIGHT)
    return build.build((-1.0, 1.0, 0.0, BLOCK_LENGTH))
