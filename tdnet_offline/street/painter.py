"""Painting of placed models: far ones first, each with light, haze and perspective."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tdnet_offline.street.camera import Pose
from tdnet_offline.street.canvas import NEAR, Canvas, clip_near
from tdnet_offline.street.layout import CentreLine
from tdnet_offline.street.light import Light
from tdnet_offline.street.panels import paint_panel, ready_panels
from tdnet_offline.street.placer import PlacedModel

_MARGIN = 5.0
"""Metres by which crowns and arms may stand out over a model's footprint."""
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


@dataclass
class _Strokes:
    """Flat shapes ready for the canvas, with the key that orders them."""

    corners: np.ndarray
    paint: list[tuple[int, ...]]
    keys: np.ndarray


class Painter:
    """Paints models onto a canvas as one camera sees them."""

    def __init__(self, canvas: Canvas, pose: Pose, light: Light, centre_line: CentreLine) -> None:
        """Create a painter for one frame."""
        self._canvas, self._pose, self._light = canvas, pose, light
        self._centre_line = centre_line

    def paint(self, models: Sequence[PlacedModel]) -> None:
        """Paint all models so that near ones hide far ones."""
        if not models:
            return
        boxes = np.array([model.box for model in models])
        seen = self._in_view(boxes)
        order = seen[painting_order(boxes[seen], self._pose.along, self._pose.lateral)]
        ordered = [models[index] for index in order.tolist()]
        polygons, clipped = self._polygons(ordered)
        capsules = self._capsules(ordered)
        panels = [(rank, panel) for rank, model in enumerate(ordered) for panel in model.panels]
        ready = ready_panels(self._canvas, self._pose, self._light, [panel for _, panel in panels])
        shown = list(ready)
        panel_keys = np.array(
            [_key(panels[index][0], panels[index][1].order) for index in shown], np.int64
        )
        keys = np.concatenate([polygons.keys, capsules.keys, panel_keys])
        first_capsule = len(polygons.keys)
        first_panel = first_capsule + len(capsules.keys)
        for index in np.argsort(keys, kind="stable").tolist():
            if index < first_capsule:
                corners = clipped.get(index)
                corners = polygons.corners[index] if corners is None else corners
                self._canvas.fill(corners, polygons.paint[index])
            elif index < first_panel:
                at = index - first_capsule
                self._canvas.fill(capsules.corners[at], capsules.paint[at])
            else:
                paint_panel(self._canvas, ready[shown[index - first_panel]])

    def _in_view(self, boxes: np.ndarray) -> np.ndarray:
        """Return the indices of boxes, in street coordinates, that may be on the picture."""
        u0, u1, y0, y1 = boxes.T
        along = np.stack([y0, y0, y1, y1], axis=1) + _MARGIN * np.array([-1, -1, 1, 1])
        lateral = np.stack([u0, u1, u1, u0], axis=1) + _MARGIN * np.array([-1, 1, 1, -1])
        x = lateral + self._centre_line.offsets(along) - self._pose.position[0]
        y = along - self._pose.position[1]
        right, forward = self._pose.rotation[0], self._pose.rotation[2]
        level = np.hypot(forward[0], forward[1])
        depth = (forward[0] * x + forward[1] * y) / level
        aside = right[0] * x + right[1] * y
        # Half as wide again as the picture: pitch and height move things sideways a little.
        reach = 0.75 * self._canvas.width / self._canvas.focal * depth
        out = (
            (aside > reach).all(axis=1) | (aside < -reach).all(axis=1) | (depth < NEAR).all(axis=1)
        )
        return np.flatnonzero(~out)

    def paint_flat(self, models: Sequence[PlacedModel], reach: float) -> None:
        """Paint polygons that lie on the ground, in the order given, up to ``reach`` metres.

        Without haze: `Ground.shade` adds it for the whole ground.
        """
        polygons, clipped = self._polygons(models, reach, hazy=False)
        for index in range(len(polygons.paint)):
            corners = clipped.get(index)
            corners = polygons.corners[index] if corners is None else corners
            self._canvas.fill(corners, polygons.paint[index])

    def _hazed(self, paint: np.ndarray, distance: np.ndarray) -> list[tuple[int, ...]]:
        share = self._light.haze(distance)[:, None]
        mixed = np.clip(paint, 0.0, 255.0)
        mixed[:, :3] = mixed[:, :3] * (1 - share) + share * self._light.haze_colour
        return [tuple(row) for row in np.rint(mixed).astype(np.int64).tolist()]

    def _polygons(
        self, models: Sequence[PlacedModel], reach: float = np.inf, hazy: bool = True
    ) -> tuple[_Strokes, dict[int, np.ndarray]]:
        points = np.concatenate([model.polygons for model in models])
        normals = np.concatenate([model.normals for model in models])
        paint = np.concatenate([model.polygon_paint for model in models])
        keys = _keys([model.polygon_order for model in models])
        facing = ((points[:, 0] - self._pose.position) * normals).sum(axis=1) <= 0.0
        points, paint, keys = points[facing], paint[facing], keys[facing]

        camera = self._pose.to_camera(points)
        depth = camera[..., 2]
        corners = self._canvas.project(camera)
        crossing = depth.min(axis=1) < NEAR
        seen = (
            (depth.max(axis=1) >= NEAR)
            & (depth.min(axis=1) < reach)
            & (crossing | self._canvas.holds(corners))
        )
        camera, corners, crossing = camera[seen], corners[seen], crossing[seen]
        clipped: dict[int, np.ndarray] = {}
        for index in np.flatnonzero(crossing).tolist():
            clipped[index] = self._canvas.fixed(self._canvas.project(clip_near(camera[index])))
        distance = camera[..., 2].mean(axis=1) if hazy else np.zeros(len(camera))
        strokes = _Strokes(
            self._canvas.fixed(corners), self._hazed(paint[seen], distance), keys[seen]
        )
        return strokes, clipped

    def _capsules(self, models: Sequence[PlacedModel]) -> _Strokes:
        ends = np.concatenate([model.capsules for model in models])
        radii = np.concatenate([model.radii for model in models])
        paint = np.concatenate([model.capsule_paint for model in models])
        keys = _keys([model.capsule_order for model in models])
        camera = self._pose.to_camera(ends)
        depth = camera[..., 2]
        seen = depth.min(axis=1) >= NEAR
        camera, depth, radii = camera[seen], depth[seen], radii[seen]
        at = self._canvas.project(camera)
        # At least 0.35 canvas pixels, so that a far pole does not break into dots.
        width = np.maximum(radii / depth * self._canvas.focal, 0.35)[..., None]
        axis = at[:, 1] - at[:, 0]
        length = np.linalg.norm(axis, axis=1, keepdims=True)
        axis = np.where(length > 1e-6, axis / np.maximum(length, 1e-6), np.array([0.0, 1.0]))
        side = np.stack([-axis[:, 1], axis[:, 0]], axis=1)
        round_cap = side[:, None] * _CAP_COS[:, None] + axis[:, None] * _CAP_SIN[:, None]
        end = at[:, 1:] + width[:, 1:] * round_cap
        start = at[:, :1] - width[:, :1] * round_cap
        corners = np.concatenate([end, start], axis=1)
        on = self._canvas.holds(corners)
        painted = self._hazed(paint[seen][on], depth.mean(axis=1)[on])
        return _Strokes(self._canvas.fixed(corners[on]), painted, keys[seen][on])


def _key(rank: int, order: int) -> int:
    return (rank << 20) + order


def _keys(orders: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([order + _key(rank, 0) for rank, order in enumerate(orders)])
