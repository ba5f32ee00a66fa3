"""Placement of models in the street: position, direction, and light on their surfaces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import atan, cos, sin

import cv2
import numpy as np

from tdnet_offline.street.camera import turn as rotate
from tdnet_offline.street.layout import CentreLine
from tdnet_offline.street.light import Light
from tdnet_offline.street.model import Model, Panel, Shapes


@dataclass(frozen=True)
class PlacedModel(Shapes):
    """A model in world coordinates with shaded colours.

    Attributes:
        normals: (P, 3) float32 unit normals, zero where painted from both sides.
        box: (lateral0, lateral1, along0, along1) metres in street coordinates.
        shadow: (N, 2) float32 world metres, the outline of its shadow; None: no shadow.
    """

    normals: np.ndarray
    box: tuple[float, float, float, float]
    shadow: np.ndarray | None


class Placer:
    """Places models along one street under one light."""

    def __init__(self, centre_line: CentreLine, light: Light) -> None:
        """Create a placer for a street and its light."""
        self._centre_line, self._light = centre_line, light
        upright = light.shade(np.array([0.0, -1.0, 0.0])) + light.shade(np.array([0.0, 0.0, 1.0]))
        self._rod_light = 0.5 * float(upright)

    def place(
        self,
        model: Model,
        lateral: float,
        along: float,
        height: float = 0.0,
        turn: float = 0.0,
        bend: bool = False,
    ) -> PlacedModel:
        """Return the model at a position of the street.

        Args:
            model: to place.
            lateral: metres right of the centre line.
            along: metres along the street.
            height: metres above the road.
            turn: radians to the left, relative to the street's direction there.
            bend: whether every point follows the street's bends, for long things
                that are part of it; else the thing stays rigid.
        """
        angle = turn - (0.0 if bend else atan(self._centre_line.slope(along)))
        c, s = cos(angle), sin(angle)
        rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], np.float32)
        base = 0.0 if bend else self._centre_line.offset(along)
        shift = np.array([lateral + base, along, height], np.float32)

        def move(points: np.ndarray) -> np.ndarray:
            moved = rotate(points, rotation) + shift
            if bend and moved.size:
                moved[..., 0] += self._centre_line.offsets(moved[..., 1].astype(np.float64))
            return moved

        polygons, normals, paint = self._polygons(model, move)
        rods = model.capsule_paint.copy()
        rods[:, :3] *= self._rod_light * self._light.tint

        x0, x1, y0, y1 = model.footprint
        c, s = cos(turn), sin(turn)
        corners = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        turned = corners @ np.array([[c, -s], [s, c]]).T + (lateral, along)
        (left, near), (right, far) = turned.min(axis=0).tolist(), turned.max(axis=0).tolist()
        ground = move(np.column_stack([corners, np.zeros(4)]).astype(np.float32))[:, :2]
        return PlacedModel(
            polygons=polygons,
            normals=normals,
            polygon_paint=paint,
            polygon_order=model.polygon_order,
            capsules=move(model.capsules),
            radii=model.radii,
            capsule_paint=rods,
            capsule_order=model.capsule_order,
            panels=tuple(self._panel(panel, move, rotation) for panel in model.panels),
            box=(left, right, near, far),
            shadow=self._shadow(ground, model.height),
        )

    def _polygons(
        self, model: Model, move: Callable[[np.ndarray], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return moved corners, normals and shaded paint of a model's polygons."""
        if not len(model.polygons):
            return model.polygons, model.polygons[:, 0], model.polygon_paint
        polygons = move(model.polygons)
        ax, ay, az = (polygons[:, 1] - polygons[:, 0]).T
        bx, by, bz = (polygons[:, 2] - polygons[:, 0]).T
        # Several times faster than np.cross for so few vectors.
        normals = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)
        lengths = np.sqrt((normals * normals).sum(axis=1, keepdims=True))
        normals /= np.maximum(lengths, 1e-9)
        paint = model.polygon_paint.copy()
        paint[:, :3] *= self._light.shade(normals)[:, None] * self._light.tint
        normals[model.two_sided] = 0.0
        return polygons, normals, paint

    def _panel(
        self, panel: Panel, move: Callable[[np.ndarray], np.ndarray], rotation: np.ndarray
    ) -> Panel:
        origin = move(panel.origin.astype(np.float32)[None])[0]
        if panel.billboard:
            across, brightness = panel.across, self._rod_light
        else:
            corner = (panel.origin + panel.across).astype(np.float32)
            across = (move(corner[None])[0] - origin).astype(np.float64)
            normal = np.cross(panel.down @ rotation.T, across)
            brightness = float(self._light.shade(normal / np.linalg.norm(normal)))
        return replace(
            panel,
            origin=origin.astype(np.float64),
            across=across,
            down=panel.down @ rotation.T.astype(np.float64),
            brightness=brightness,
        )

    def _shadow(self, ground: np.ndarray, height: float) -> np.ndarray | None:
        if height <= 0.0:
            return None
        if self._light.sunshine < 0.1:
            return ground
        sun = self._light.sun
        throw = np.asarray(-sun[:2] / sun[2] * height, np.float32)
        return cv2.convexHull(np.concatenate([ground, ground + throw]))[:, 0]
