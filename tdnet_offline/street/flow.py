"""Exact optical flow of a drive: surfaces are painted with their numbers in place of colours."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tdnet_offline.street.camera import Intrinsics, Pose
from tdnet_offline.street.canvas import Canvas
from tdnet_offline.street.ground import Ground, GroundColours
from tdnet_offline.street.layout import KERB_HEIGHT, Layout
from tdnet_offline.street.light import Light, draw_light
from tdnet_offline.street.materials import TRAIN_ID_OF_MATERIAL, Texture
from tdnet_offline.street.model import Panel
from tdnet_offline.street.painter import Painter
from tdnet_offline.street.panels import panel_edges
from tdnet_offline.street.placer import PlacedModel

UNKNOWN = 1e6
"""Flow of a point that the other frame does not have."""
# The face of a kerb is painted at 0.72 of its colour: 2 for a kerb of 3. It bends with the street
# and has no flow.
_FAR, _ROAD, _KERB_FACE, _RAISED, _FIRST_MODEL = range(5)
_EPSILON = 1e-9

Frames = np.ndarray
"""(N, 3, 3) two vectors along each of N surfaces and a point on it, as columns, camera metres."""


@dataclass(frozen=True)
class Scene:
    """Everything that one frame shows.

    Attributes:
        pose: of the camera.
        flat: groups of models on the ground, each with the metres up to which it is painted.
        standing: models that do not move.
        moving: models by a key that they keep from frame to frame.
    """

    pose: Pose
    flat: Sequence[tuple[Sequence[PlacedModel], float]]
    standing: Sequence[PlacedModel]
    moving: Mapping[Hashable, PlacedModel]

    @property
    def models(self) -> list[PlacedModel]:
        """All models, in the order of their numbers."""
        flat = [model for group, _ in self.flat for model in group]
        return [*flat, *self.standing, *self.moving.values()]


class SurfacePainter:
    """Paints the numbers of the surfaces that the frames of one drive show."""

    def __init__(self, seed: int, layout: Layout, intrinsics: Intrinsics) -> None:
        """Prepare a drive; the seed is that of its light."""
        light = draw_light(seed)
        # A light that leaves every colour as it is.
        self._light: Light = replace(
            light, sunshine=0.0, ambient=1 / 1.12, tint=np.ones(3), haze_length=np.inf
        )
        road, raised = np.array([_ROAD, 0.0, 0.0]), np.array([_RAISED, 0.0, 0.0])
        colours = GroundColours(road, raised, raised, raised, raised)
        self._ground = Ground(seed, layout, self._light, colours)
        self._layout, self._intrinsics = layout, intrinsics

    def numbers(self, scene: Scene) -> np.ndarray:
        """Return (H, W) int32 the number of the surface that most of each pixel shows."""
        canvas = Canvas(self._intrinsics)
        self._ground.paint(canvas, scene.pose)
        painter = Painter(canvas, scene.pose, self._light, self._layout.centre_line)
        numbered = _numbered(scene.models)
        for group, reach in scene.flat:
            painter.paint_flat(numbered[: len(group)], reach)
            del numbered[: len(group)]
        painter.paint(numbered)
        red, green, blue, material = np.moveaxis(canvas.pixels.astype(np.int32), 2, 0)
        numbers, ids = red | green << 8 | blue << 16, TRAIN_ID_OF_MATERIAL[material]
        labels, result = canvas.labels(), numbers[::2, ::2]
        for y, x in ((0, 1), (1, 0), (1, 1)):
            unlike = ids[::2, ::2] != labels
            result = np.where(unlike & (ids[y::2, x::2] == labels), numbers[y::2, x::2], result)
        return result

    def flow(self, numbers: np.ndarray, scene: Scene, other: Scene) -> np.ndarray:
        """Return where another frame shows the point of each pixel.

        Args:
            numbers: of the frame, from `numbers`.
            scene: of the frame.
            other: of the other frame.

        Returns:
            (H, W, 2) float32 pixels to the right and down, also to points that are hidden or out
            of the picture; `UNKNOWN` for what the other frame does not have.
        """
        moving = [_moved(model, other.moving.get(key)) for key, model in scene.moving.items()]
        shown, places = np.unique(numbers, return_inverse=True)
        start = _frames(scene.pose, scene.models, shown)
        still = scene.models[: len(scene.models) - len(moving)]
        end = _frames(other.pose, [*still, *moving], shown)
        scale = np.linalg.norm(start, axis=1).prod(axis=1)
        edge_on = np.abs(np.linalg.det(start)) <= _EPSILON * scale
        start[edge_on], end[edge_on] = np.eye(3), np.nan
        camera = self._intrinsics.matrix()
        maps = camera @ end @ np.linalg.inv(camera @ start)
        places = places.reshape(numbers.shape)
        y, x = np.indices(numbers.shape)
        right, down, depth = (
            maps[places, row, 0] * x + maps[places, row, 1] * y + maps[places, row, 2]
            for row in range(3)
        )
        known = depth > _EPSILON  # not NaN either
        depth = np.where(known, depth, 1.0)
        flow = np.stack([right / depth - x, down / depth - y], axis=2)
        return np.where(known[..., None], flow, UNKNOWN).astype(np.float32)


def _numbered(models: Sequence[PlacedModel]) -> list[PlacedModel]:
    """Return models whose surfaces have numbers in place of colours.

    First come the polygons of all models, then the capsules, then the panels.
    """
    counts = [_counts(model) for model in models]
    polygons, capsules, _ = map(sum, zip(*counts, strict=True))
    first = [_FIRST_MODEL, _FIRST_MODEL + polygons, _FIRST_MODEL + polygons + capsules]
    numbered = []
    for model, count in zip(models, counts, strict=True):
        paint = [
            np.arange(start, start + number)[:, None] >> (0, 8, 16) & 255
            for start, number in zip(first, count, strict=True)
        ]
        first = [start + number for start, number in zip(first, count, strict=True)]
        numbered.append(
            replace(
                model,
                polygon_paint=np.hstack([paint[0], model.polygon_paint[:, 3:]]),
                capsule_paint=np.hstack([paint[1], model.capsule_paint[:, 3:]]),
                panels=tuple(map(_numbered_panel, model.panels, paint[2])),
            )
        )
    return numbered


def _numbered_panel(panel: Panel, paint: np.ndarray) -> Panel:
    levels, cutout = panel.texture.levels, panel.texture.cutout
    numbered = []
    # An opaque texture has one material: a few pixels of it suffice.
    for level in levels if cutout else [levels[0][:2, :2]]:
        pixels = level.copy()
        pixels[..., :3] = paint
        numbered.append(pixels)
    return replace(panel, texture=Texture(tuple(numbered), cutout), brightness=1.0)


def _moved(model: PlacedModel, other: PlacedModel | None) -> PlacedModel:
    """Return the model of another frame; without one, the model at no place."""
    if other is not None and _counts(model) == _counts(other):
        return other
    return replace(
        model,
        polygons=np.full_like(model.polygons, np.nan),
        capsules=np.full_like(model.capsules, np.nan),
        panels=tuple(replace(panel, origin=np.full(3, np.nan)) for panel in model.panels),
    )


def _counts(model: PlacedModel) -> tuple[int, int, int]:
    return len(model.polygons), len(model.capsules), len(model.panels)


def _frames(pose: Pose, models: Sequence[PlacedModel], shown: np.ndarray) -> Frames:
    """Return the frames of surfaces by their numbers, ascending."""
    road = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    nowhere = np.zeros((3, 3))
    ground = np.stack([nowhere, road, nowhere, road + np.array([0.0, 0.0, KERB_HEIGHT])])
    corners = np.concatenate([ground, *(model.polygons[:, :3] for model in models)])
    rods = np.concatenate([np.empty((0, 2, 3)), *(model.capsules for model in models)])
    radii = np.concatenate([np.empty((0, 2)), *(model.radii for model in models)])
    panels = [panel for model in models for panel in model.panels]
    first, second = np.searchsorted(shown, [len(corners), len(corners) + len(rods)])
    some_rods = shown[first:second] - len(corners)
    triangles = _triangles(pose, corners[shown[:first]])
    triangles[shown[:first] == _FAR] = pose.rotation
    found = [triangles, _rods(pose, rods[some_rods], radii[some_rods])]
    if second < len(shown):
        some_panels = (shown[second:] - len(corners) - len(rods)).tolist()
        corner, across, down = panel_edges(pose, [panels[number] for number in some_panels])
        found.append(np.stack([across, down, corner], axis=2))
    return np.concatenate(found)


def _triangles(pose: Pose, points: np.ndarray) -> Frames:
    a, b, c = np.moveaxis(pose.to_camera(points), 1, 0)
    return np.stack([b - a, c - a, a], axis=2)


def _rods(pose: Pose, ends: np.ndarray, radii: np.ndarray) -> Frames:
    """Return frames of the axes of rods and of what faces the camera beside them."""
    start, end = np.moveaxis(pose.to_camera(ends), 1, 0)
    axis, radius = end - start, radii[:, :1]
    axis = np.where(np.linalg.norm(axis, axis=1, keepdims=True) < 1e-6, radius * (0, 1, 0), axis)
    side = np.cross(axis, start)
    side *= radius / np.maximum(np.linalg.norm(side, axis=1, keepdims=True), _EPSILON)
    return np.stack([axis, side, start], axis=2)
