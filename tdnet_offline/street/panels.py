"""Painting of textured rectangles in perspective: projected together, painted one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import cv2
import numpy as np

from tdnet_offline.street.camera import Pose
from tdnet_offline.street.canvas import FIXED_BITS, NEAR, Canvas, clip_near, surfaces_of
from tdnet_offline.street.light import Light
from tdnet_offline.street.model import Panel

_SMALL = 160
"""Canvas pixels under which an opaque panel is painted in one colour."""
_LARGE = 12000
"""Canvas pixels above which an opaque panel is painted at half the canvas's resolution."""
_VALUES = np.arange(256, dtype=np.float32)[:, None]


@dataclass(frozen=True)
class ReadyPanel:
    """A panel as one camera sees it.

    Attributes:
        texture: (h, w, 4) uint8, the copy whose pixels are about as large as the canvas's.
        to_texture: (3, 3) from pixels of ``window`` to texture pixels.
        window: canvas pixels (x0, y0, x1, y1) that hold the panel.
        outline: ``Canvas.fixed`` corners inside of the window.
        table: (256, 1, 4) uint8, lights the texture and lays haze over it.
        cutout: as in ``Texture``.
        surface: a row of `surfaces_of`.
    """

    texture: np.ndarray
    to_texture: np.ndarray
    window: tuple[int, int, int, int]
    outline: np.ndarray
    table: np.ndarray
    cutout: bool
    surface: np.ndarray


def ready_panels(
    canvas: Canvas, pose: Pose, light: Light, panels: Sequence[Panel]
) -> dict[int, ReadyPanel]:
    """Return the panels that the camera sees, by their index in the sequence."""
    if not panels:
        return {}
    corner, across, down = panel_edges(pose, panels)
    cutout = np.array([panel.texture.cutout for panel in panels])
    points = np.stack([corner, corner + across, corner + across + down, corner + down], axis=1)
    depth = points[..., 2]
    crossing = depth.min(axis=1) < NEAR
    outlines = canvas.project(points)
    inside = crossing | canvas.holds(outlines)
    seen = np.flatnonzero((depth.max(axis=1) >= NEAR) & inside & ~(cutout & crossing))
    brightness = np.array([panels[index].brightness for index in seen])
    tables = _tables(light, brightness, depth[seen].mean(axis=1))
    to_canvas = canvas.matrix @ np.stack([across[seen], down[seen], corner[seen]], axis=2)
    # A panel that the camera sees exactly edge-on shows nothing.
    flat = np.abs(np.linalg.det(to_canvas)) < 1e-6
    to_canvas[flat] = np.eye(3)
    to_unit = np.linalg.inv(to_canvas)
    surfaces = surfaces_of(points[seen])
    corners = outlines[seen]
    for place in np.flatnonzero(crossing[seen]).tolist():
        # A panel clipped at the camera has other corners; only its bounds matter here.
        bounds = canvas.project(clip_near(points[seen[place]]))
        low, high = bounds.min(axis=0), bounds.max(axis=0)
        corners[place] = (low, (high[0], low[1]), high, (low[0], high[1]))
    limit = (canvas.width, canvas.height)
    low = np.clip(np.floor(corners.min(axis=1)), 0, limit).astype(int)
    high = np.clip(np.ceil(corners.max(axis=1)) + 1, 0, limit).astype(int)
    areas = _areas(corners)
    ready: dict[int, ReadyPanel] = {}
    for place, index in enumerate(seen.tolist()):
        (x0, y0), (x1, y1) = low[place].tolist(), high[place].tolist()
        if flat[place] or x1 <= x0 or y1 <= y0:
            continue
        outline = outlines[index]
        if crossing[index]:
            outline = canvas.project(clip_near(points[index]))
        texture = _level(panels[index].texture.levels, float(areas[place]))
        rows, columns = texture.shape[:2]
        # Texture coordinates count from pixel centres: half a pixel less than from the edge.
        to_texture = to_unit[place]
        to_texture[:, 2] += to_texture[:, :2] @ (x0, y0)
        to_texture[:2] *= ((columns,), (rows,))
        to_texture[:2] -= 0.5 * to_texture[2]
        ready[index] = ReadyPanel(
            texture,
            to_texture,
            (x0, y0, x1, y1),
            canvas.fixed(outline - (x0, y0)),
            tables[place],
            bool(cutout[index]),
            surfaces[place],
        )
    return ready


def paint_panel(canvas: Canvas, panel: ReadyPanel) -> None:
    """Paint a panel; pixels cut out of its texture are unchanged."""
    x0, y0, x1, y1 = panel.window
    size = (x1 - x0, y1 - y0)
    texture = panel.texture
    if not panel.cutout and size[0] * size[1] < _SMALL:
        middle = texture[texture.shape[0] // 2, texture.shape[1] // 2]
        paint = panel.table[middle, 0, (0, 1, 2, 3)]
        shift = np.array([x0, y0], np.int32) << FIXED_BITS
        canvas.fill(panel.outline + shift, tuple(paint.tolist()), panel.surface)
        return
    if panel.cutout:
        warped = _warp(texture, panel, size, 1, cv2.INTER_NEAREST)
        mask = cv2.extractChannel(warped, 3)
    else:
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillConvexPoly(mask, panel.outline, 255, cv2.LINE_8, FIXED_BITS)
        # Large panels at the camera's resolution: only edges need that of the canvas.
        if size[0] * size[1] > _LARGE:
            half = (-(-size[0] // 2), -(-size[1] // 2))
            warped = cv2.resize(
                _warp(texture, panel, half, 2, cv2.INTER_LINEAR), (2 * half[0], 2 * half[1])
            )[: size[1], : size[0]]
        else:
            warped = _warp(texture, panel, size, 1, cv2.INTER_LINEAR)
    cv2.copyTo(warped, mask, canvas.pixels[y0:y1, x0:x1])
    if canvas.surfaces is not None:
        index = canvas.surfaces.add(panel.surface)
        canvas.surfaces.indices[y0:y1, x0:x1][mask > 0] = index


def _warp(
    texture: np.ndarray, panel: ReadyPanel, size: tuple[int, int], step: int, method: int
) -> np.ndarray:
    """Return the lit texture in the window, at every ``step``-th pixel; ``size`` is (W, H)."""
    to_texture = panel.to_texture
    if step > 1:
        to_texture = to_texture @ np.array([[step, 0, 0.5], [0, step, 0.5], [0, 0, 1.0]])
    first = texture.shape[0] * texture.shape[1] <= size[0] * size[1]
    warped = cv2.warpPerspective(
        cv2.LUT(texture, panel.table) if first else texture,
        to_texture,
        size,
        flags=method | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT if panel.cutout else cv2.BORDER_REPLICATE,
    )
    return warped if first else cv2.LUT(warped, panel.table)


def panel_edges(pose: Pose, panels: Sequence[Panel]) -> tuple[np.ndarray, ...]:
    """Return corners, top edges and left edges of panels, (N, 3) each, in the camera's frame."""
    origin = np.array([panel.origin for panel in panels]) - pose.position
    across = np.array([panel.across for panel in panels])
    down = np.array([panel.down for panel in panels])
    turned = np.array([panel.billboard for panel in panels])
    width = np.linalg.norm(across[turned], axis=1, keepdims=True)
    across[turned] = pose.rotation[0] * width
    origin[turned] -= across[turned] / 2 + down[turned]
    return origin @ pose.rotation.T, across @ pose.rotation.T, down @ pose.rotation.T


def _areas(corners: np.ndarray) -> np.ndarray:
    """Return (N,) areas of (N, 4, 2) quadrangles."""
    first, second = corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]
    return np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2


def _level(levels: tuple[np.ndarray, ...], area: float) -> np.ndarray:
    """Return the copy of a texture whose pixels are about as large as the canvas's."""
    rows, columns = levels[0].shape[:2]
    level = int(0.5 * log2(max(rows * columns / max(area, 1.0), 1.0)) + 0.5)
    return levels[min(level, len(levels) - 1)]


def _tables(light: Light, brightness: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return (N, 256, 1, 4) tables that light textures and lay haze over them."""
    share = light.haze(distance).astype(np.float32)[:, None, None]
    gain = brightness[:, None, None] * light.tint
    lit = np.minimum(_VALUES * gain.astype(np.float32), 255.0)
    tables = np.empty((len(brightness), 256, 1, 4), np.uint8)
    tables[:, :, 0, :3] = lit + share * (light.haze_colour.astype(np.float32) - lit) + 0.5
    tables[:, :, 0, 3] = _VALUES[:, 0]
    return tables
