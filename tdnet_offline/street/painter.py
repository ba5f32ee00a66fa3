"""Painting of placed models: far ones first, each with light, haze and perspective."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from tdnet_offline.street.camera import Pose
from tdnet_offline.street.canvas import NEAR, Canvas, clip_near, surfaces_of
from tdnet_offline.street.layout import CentreLine
from tdnet_offline.street.light import Light
from tdnet_offline.street.panels import ReadyPanel, paint_panel, ready_panels
from tdnet_offline.street.placer import PlacedModel

_MARGIN = 5.0
"""Metres by which crowns and arms may stand out over a model's footprint."""
_ORDER_BITS = 20
"""Bits of a stroke's key for the order in its model; those above rank the models."""
_CAP = np.linspace(0.0, np.pi, 6)
_CAP_COS, _CAP_SIN = np.cos(_CAP), np.sin(_CAP)


def painting_order(boxes: np.ndarray, along: float, lateral: float) -> np.ndarray:
    """Return the indices of boxes in the order in which a painter paints them.

    Two things that are apart along the street: the farther one first. Two that lie side by
    side: the one farther from the camera's line first. Both rules are exact for boxes that do
    not overlap, seen from outside of them.

    Args:
        boxes: (N, 4) metres lateral0, lateral1, along0, along1.
        along: of the camera, metres.
        lateral: of the camera, metres.
    """
    u0, u1, y0, y1 = boxes.T
    aside = np.maximum(np.maximum(u0 - lateral, lateral - u1), 0.0)
    ahead = np.maximum(np.maximum(y0 - along, along - y1), 0.0)
    middle = (y0 + y1) / 2
    slack = 0.05
    farther = y0[:, None] >= y1[None, :] - slack
    nearer = farther.T & ~farther
    outer = aside[:, None] > aside[None, :] + 1e-6
    level = np.abs(aside[:, None] - aside[None, :]) <= 1e-6
    behind = ahead[:, None] + 1e-3 * middle[:, None] > ahead[None, :] + 1e-3 * middle[None, :]
    first = np.where(farther, True, np.where(nearer, False, outer | (level & behind)))
    np.fill_diagonal(first, False)
    return np.argsort(first.sum(axis=0), kind="stable")


_Stroke = tuple[int, np.ndarray | ReadyPanel, tuple[int, ...], np.ndarray | None]
"""A key that orders the strokes; a convex shape of canvas corners, its paint and its surface if
these are recorded; or a panel."""


class Painter:
    """Paints models onto a canvas as one camera sees them."""

    def __init__(self, canvas: Canvas, pose: Pose, light: Light, centre_line: CentreLine) -> None:
        """Create a painter for one frame."""
        self._canvas, self._pose, self._light = canvas, pose, light
        self._centre_line = centre_line

    def paint(self, models: Sequence[PlacedModel]) -> None:
        """Paint all models so that near ones hide far ones."""
        boxes = np.array([model.box for model in models]).reshape(-1, 4)
        seen = self._in_view(boxes)
        order = seen[painting_order(boxes[seen], self._pose.along, self._pose.lateral)]
        if not len(order):
            return
        ordered = [models[index] for index in order.tolist()]
        panels = [(rank, panel) for rank, model in enumerate(ordered) for panel in model.panels]
        ready = ready_panels(self._canvas, self._pose, self._light, [panel for _, panel in panels])
        strokes = [*self._polygons(ordered), *self._capsules(ordered)]
        for index, panel in ready.items():
            rank, placed = panels[index]
            strokes.append(((rank << _ORDER_BITS) + placed.order, panel, (), None))
        self._draw(sorted(strokes, key=itemgetter(0)))

    def _in_view(self, boxes: np.ndarray) -> np.ndarray:
        """Return the indices of boxes, in street coordinates, that may be on the picture."""
        u0, u1, y0, y1 = boxes.T
        along = np.stack([y0, y0, y1, y1], axis=1) + _MARGIN * np.array([-1, -1, 1, 1])
        lateral = np.stack([u0, u1, u1, u0], axis=1) + _MARGIN * np.array([-1, 1, 1, -1])
        x = lateral + self._centre_line.offsets(along) - self._pose.position[0]
        y = along - self._pose.position[1]
        right, forward = self._pose.rotation[0], self._pose.rotation[2]
        depth = (forward[0] * x + forward[1] * y) / np.hypot(forward[0], forward[1])
        aside = right[0] * x + right[1] * y
        # Half as wide again as the picture: pitch and height move things sideways a little.
        reach = 0.75 * self._canvas.width / self._canvas.focal * depth
        outside = (aside > reach, aside < -reach, depth < NEAR)
        return np.flatnonzero(~np.any([side.all(axis=1) for side in outside], axis=0))

    def paint_flat(self, models: Sequence[PlacedModel], reach: float) -> None:
        """Paint polygons that lie on the ground, in the order given, up to ``reach`` metres.

        Without haze: `Ground.shade` adds it for the whole ground.
        """
        self._draw(self._polygons(models, reach, hazy=False))

    def _draw(self, strokes: Sequence[_Stroke]) -> None:
        for _, shape, paint, surface in strokes:
            if isinstance(shape, ReadyPanel):
                paint_panel(self._canvas, shape)
            else:
                self._canvas.fill(shape, paint, surface)

    def _strokes(
        self,
        keys: np.ndarray,
        shapes: list[np.ndarray],
        paint: np.ndarray,
        distance: np.ndarray,
        points: np.ndarray,
    ) -> list[_Stroke]:
        """Return the strokes of convex shapes, their paint seen through haze.

        Points, (N, K, 3) camera coordinates, are corners of their surfaces.
        """
        share = self._light.haze(distance)[:, None]
        mixed = np.clip(paint, 0.0, 255.0)
        mixed[:, :3] = mixed[:, :3] * (1 - share) + share * self._light.haze_colour
        paints = map(tuple, np.rint(mixed).astype(np.int64).tolist())
        recorded = self._canvas.surfaces is not None
        surfaces = surfaces_of(points) if recorded else [None] * len(shapes)
        return list(zip(keys.tolist(), shapes, paints, surfaces, strict=True))

    def _polygons(
        self, models: Sequence[PlacedModel], reach: float = np.inf, hazy: bool = True
    ) -> list[_Stroke]:
        points = np.concatenate([model.polygons for model in models])
        normals = np.concatenate([model.normals for model in models])
        paint = np.concatenate([model.polygon_paint for model in models])
        keys = _keys([model.polygon_order for model in models])
        facing = ((points[:, 0] - self._pose.position) * normals).sum(axis=1) <= 0.0
        points, paint, keys = points[facing], paint[facing], keys[facing]

        camera = self._pose.to_camera(points)
        nearest, farthest = camera[..., 2].min(axis=1), camera[..., 2].max(axis=1)
        corners, crossing = self._canvas.project(camera), nearest < NEAR
        visible = crossing | self._canvas.holds(corners)
        seen = (farthest >= NEAR) & (nearest < reach) & visible
        camera = camera[seen]
        shapes = list(self._canvas.fixed(corners[seen]))
        for index in np.flatnonzero(crossing[seen]).tolist():
            shapes[index] = self._canvas.fixed(self._canvas.project(clip_near(camera[index])))
        distance = camera[..., 2].mean(axis=1) if hazy else np.zeros(len(camera))
        return self._strokes(keys[seen], shapes, paint[seen], distance, camera)

    def _capsules(self, models: Sequence[PlacedModel]) -> list[_Stroke]:
        ends = np.concatenate([model.capsules for model in models])
        radii = np.concatenate([model.radii for model in models])
        paint = np.concatenate([model.capsule_paint for model in models])
        keys = _keys([model.capsule_order for model in models])
        camera = self._pose.to_camera(ends)
        seen = camera[..., 2].min(axis=1) >= NEAR
        camera, radii, paint, keys = camera[seen], radii[seen], paint[seen], keys[seen]
        at, depth = self._canvas.project(camera), camera[..., 2]
        # At least 0.35 canvas pixels, so that a far pole does not break into dots.
        width = np.maximum(radii / depth * self._canvas.focal, 0.35)[..., None]
        axis = at[:, 1] - at[:, 0]
        length = np.linalg.norm(axis, axis=1, keepdims=True)
        axis = np.where(length > 1e-6, axis / np.maximum(length, 1e-6), np.array([0.0, 1.0]))
        side = np.stack([-axis[:, 1], axis[:, 0]], axis=1)
        round_cap = side[:, None] * _CAP_COS[:, None] + axis[:, None] * _CAP_SIN[:, None]
        end, start = at[:, 1:] + width[:, 1:] * round_cap, at[:, :1] - width[:, :1] * round_cap
        corners = np.concatenate([end, start], axis=1)
        on = self._canvas.holds(corners)
        distance = depth.mean(axis=1)[on]
        shapes = list(self._canvas.fixed(corners[on]))
        corners = camera[on]
        if self._canvas.surfaces is not None:
            corners = _flat_rods(corners, radii[on])
        return self._strokes(keys[on], shapes, paint[on], distance, corners)


def _flat_rods(ends: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return (N, 4, 3) corners of the flat shapes that rods are painted as.

    They contain the axis, (N, 2, 3) camera points, and face the camera.
    """
    axis = ends[:, 1] - ends[:, 0]
    axis[np.abs(axis).max(axis=1) < 1e-6] = (0.0, 1.0, 0.0)
    side = np.cross(axis, ends.mean(axis=1))
    side *= radii.mean(axis=1, keepdims=True) / np.linalg.norm(side, axis=1, keepdims=True)
    up = axis * (radii[:, :1] / np.linalg.norm(axis, axis=1, keepdims=True))
    start, end = ends[:, 0] - up, ends[:, 1] + up
    return np.stack([start - side, end - side, end + side, start + side], axis=1)


def _keys(orders: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([order + (rank << _ORDER_BITS) for rank, order in enumerate(orders)])
