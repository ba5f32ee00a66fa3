"""Flat models on the ground: lane marks, crosswalks, rails, paving slabs, crossing roads."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tdnet_offline.street.ground import GroundColours
from tdnet_offline.street.layout import BLOCK_LENGTH, CROSSING_LENGTH, KERB_HEIGHT, Layout
from tdnet_offline.street.materials import Material
from tdnet_offline.street.model import Colour, Model, ModelBuilder

_PIECE = 8.0
"""Metres between the bends of a long strip."""


def _colour(values: np.ndarray) -> Colour:
    return (float(values[0]), float(values[1]), float(values[2]))


def _patch(
    build: ModelBuilder,
    x: tuple[float, float],
    y: tuple[float, float],
    z: float,
    colour: Colour,
    material: Material,
) -> None:
    pieces = max(1, int(np.ceil((y[1] - y[0]) / _PIECE)))
    edges = np.linspace(y[0], y[1], pieces + 1).tolist()
    for start, end in pairwise(edges):
        corners = [(x[0], start, z), (x[1], start, z), (x[1], end, z), (x[0], end, z)]
        build.polygon(corners, colour, material, two_sided=False)


def block_markings(
    rng: np.random.Generator, layout: Layout, colours: GroundColours, block: int
) -> Model:
    """Return the markings of a block, its start at y = 0."""
    build = ModelBuilder()
    start = CROSSING_LENGTH if layout.is_crossing(block) else 0.0
    end = BLOCK_LENGTH
    road = colours.road
    white: Colour = (226, 226, 222)
    for _ in range(int(rng.integers(2, 6))):
        x, y = (
            float(rng.uniform(-layout.kerb(-1), layout.kerb(1) - 1.5)),
            float(rng.uniform(start, end - 8)),
        )
        tone = _colour(road * float(rng.uniform(0.78, 1.1)))
        size = (float(rng.uniform(0.5, 1.8)), float(rng.uniform(1.0, 7.0)))
        _patch(build, (x, x + size[0]), (y, y + size[1]), 0.0, tone, Material.ROAD)
    if layout.median:
        paving = _colour(road * 1.14)
        edge = layout.median / 2 - 0.25
        _patch(build, (-edge, edge), (0.0, end), 0.0, paving, Material.ROAD)
        for track in (-1.65, 1.65):
            for rail in (-0.72, 0.72):
                x = track + rail
                _patch(build, (x - 0.09, x + 0.09), (0.0, end), 0.0, (70, 70, 72), Material.ROAD)
                _patch(
                    build, (x - 0.03, x + 0.03), (0.0, end), 0.0, (178, 180, 184), Material.ROAD
                )
    if start > 0.0:
        _crossing(build, layout, colours, start)
    first_dash = start + (3.5 if start else 0.0)
    if not layout.median:
        _dashes(build, 0.0, first_dash, end, white)
    for sign in (-1, 1):
        for lane in range(1, layout.lanes):
            _dashes(
                build,
                sign * (layout.median / 2 + lane * layout.lane_width),
                first_dash,
                end,
                white,
            )
        if layout.median:
            x = sign * layout.median / 2
            _patch(build, (x - 0.07, x + 0.07), (start, end), 0.0, white, Material.MARKING)
        if layout.side(sign).parking:
            x = sign * layout.carriageway
            _patch(build, (x - 0.06, x + 0.06), (start, end), 0.0, white, Material.MARKING)
            for y in np.arange(start + 6.0, end, 6.0).tolist():
                low, high = sorted((x, sign * layout.kerb(sign)))
                _patch(build, (low, high), (y, y + 0.1), 0.0, white, Material.MARKING)
    for _ in range(int(rng.integers(0, 3))):
        x, y = (
            float(rng.uniform(-layout.carriageway, layout.carriageway)),
            float(rng.uniform(start, end)),
        )
        turns = np.arange(10) * (2 * np.pi / 10)
        ring = [(x + 0.34 * float(np.cos(t)), y + 0.34 * float(np.sin(t)), 0.0) for t in turns]
        build.polygon(ring, _colour(road * 0.62), Material.ROAD)
    return build.build((-1.0, 1.0, 0.0, end))


def _dashes(build: ModelBuilder, x: float, start: float, end: float, colour: Colour) -> None:
    for y in np.arange(np.ceil(start / 8.0) * 8.0, end - 2.9, 8.0).tolist():
        _patch(build, (x - 0.08, x + 0.08), (y, y + 3.2), 0.0, colour, Material.MARKING)


def _crossing(build: ModelBuilder, layout: Layout, colours: GroundColours, length: float) -> None:
    """Add the street that crosses, its kerbs, crosswalks and stop lines."""
    white: Colour = (226, 226, 222)
    road = _colour(colours.road * 1.01)
    low, high = 4.2, length - 4.2
    reach = 140.0
    for sign in (-1, 1):
        kerb, line = layout.kerb(sign), layout.building_line(sign)
        paved = _colour(colours.sidewalk)
        inner, outer = sorted((sign * kerb, sign * reach))
        # The street's own sidewalks turn the corner on both sides of the crossing road.
        _patch(build, (inner, outer), (0.0, low), KERB_HEIGHT, paved, Material.SIDEWALK)
        _patch(build, (inner, outer), (high, length), KERB_HEIGHT, paved, Material.SIDEWALK)
        _patch(build, (inner, outer), (low, high), 0.0, road, Material.ROAD)
        face = [
            (inner, high, 0.0),
            (outer, high, 0.0),
            (outer, high, KERB_HEIGHT),
            (inner, high, KERB_HEIGHT),
        ]
        build.polygon(face, _colour(colours.kerb * 0.85), Material.KERB, two_sided=True)
        for x in np.arange(line + 4.0, reach, 8.0).tolist():
            near, far = sorted((sign * x, sign * (x + 3.2)))
            middle = (low + high) / 2
            _patch(
                build, (near, far), (middle - 0.08, middle + 0.08), 0.0, white, Material.MARKING
            )
    for y in (0.6, length - 3.4):
        for x in np.arange(-layout.kerb(-1) + 0.3, layout.kerb(1) - 0.6, 1.0).tolist():
            if abs(x + 0.25) > layout.median / 2 - 0.4:
                _patch(build, (x, x + 0.5), (y, y + 2.8), 0.0, white, Material.MARKING)
    inner, outer = layout.median / 2 + 0.1, layout.carriageway - 0.1
    _patch(build, (inner, outer), (-1.0, -0.6), 0.0, white, Material.MARKING)
    _patch(build, (-outer, -inner), (length + 0.6, length + 1.0), 0.0, white, Material.MARKING)


def block_joints(layout: Layout, colours: GroundColours, block: int) -> Model:
    """Return the joints between a block's paving slabs, only worth painting close by."""
    build = ModelBuilder()
    start = CROSSING_LENGTH if layout.is_crossing(block) else 0.0
    dark = _colour(colours.sidewalk * 0.84)
    for sign in (-1, 1):
        near, far = layout.sidewalk_start(sign), layout.sidewalk_end(sign)
        if not layout.side(sign).green_verge:
            near = layout.kerb(sign) + 0.16
        low, high = sorted((sign * near, sign * far))
        for y in np.arange(start, BLOCK_LENGTH, 1.0).tolist():
            _patch(build, (low, high), (y, y + 0.02), KERB_HEIGHT, dark, Material.SIDEWALK)
        for x in np.arange(low + 1.0, high - 0.3, 1.0).tolist():
            _patch(
                build, (x, x + 0.02), (start, BLOCK_LENGTH), KERB_HEIGHT, dark, Material.SIDEWALK
            )
    return build.build((-1.0, 1.0, 0.0, BLOCK_LENGTH))
