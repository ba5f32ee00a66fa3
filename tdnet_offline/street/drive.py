"""The synthetic street drive: frame number in, camera picture and exact labels out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from tdnet_offline.street.blocks import Block, BlockMaker
from tdnet_offline.street.camera import CameraPath, Intrinsics, Pose
from tdnet_offline.street.canvas import Canvas
from tdnet_offline.street.catalogue import draw_catalogue
from tdnet_offline.street.crossings import Crossings
from tdnet_offline.street.flow import Scene, SurfacePainter
from tdnet_offline.street.ground import Ground, draw_ground_colours
from tdnet_offline.street.layout import BLOCK_LENGTH, draw_character, draw_layout
from tdnet_offline.street.light import Sensor, draw_light
from tdnet_offline.street.painter import Painter
from tdnet_offline.street.placer import PlacedModel, Placer
from tdnet_offline.street.sky import Sky
from tdnet_offline.street.traffic import Traffic

_REACH = 260.0
"""Metres ahead up to which the street is built."""
_DETAIL_REACH = 130.0
"""Metres ahead up to which small things are painted."""
_JOINT_REACH = 26.0
_KEPT_BLOCKS = 12


@dataclass(frozen=True)
class StreetFrame:
    """One frame of the drive.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 Cityscapes train ids 0 to 18; 255 for none.
        depth: (H, W) float32 metres along the optical axis, of what the labels show, exact for
            the centre of each pixel; infinite for sky and skyline. None: not requested.
    """

    image: np.ndarray
    labels: np.ndarray
    depth: np.ndarray | None = None


class StreetDrive:
    """A camera that drives along an endless street, both drawn from a seed.

    Every frame depends on the seed, its index, the size and the rate only: frames can be rendered
    in any order, and are the same in every process.
    """

    def __init__(self, seed: int, size: tuple[int, int] = (360, 640), rate: float = 17.0) -> None:
        """Draw street, light and camera.

        Args:
            seed: of the street; selects street, day and camera.
            size: (H, W) of the frames in pixels.
            rate: frames a second.
        """
        self.seed, self.size, self.rate = seed, size, rate
        self._layout = draw_layout(seed)
        self._light = draw_light(seed)
        self._path = CameraPath(seed, self._layout, size)
        placer = Placer(self._layout.centre_line, self._light)
        character, colours = draw_character(seed), draw_ground_colours(seed)
        parts = (self._layout, draw_catalogue(seed), colours, character, placer)
        self._block = lru_cache(maxsize=_KEPT_BLOCKS)(BlockMaker(seed, *parts).make)
        self._traffic = Traffic(seed, self._layout, character, self._path, placer)
        self._crossings = Crossings(seed, self._layout, self._path, self._traffic, placer)
        self._ground = Ground(seed, self._layout, self._light, colours)
        self._sky = Sky(seed, self._light)
        self._sensor = Sensor(seed, self._light, size)
        # Flow of frame t needs the surfaces of t, then of t - 1. A cache of two would drop t - 1
        # when t is added.
        self._scene = lru_cache(maxsize=3)(self._draw_scene)
        self._numbers = lru_cache(maxsize=3)(lambda i: self._surfaces.numbers(self._scene(i)))

    @property
    def intrinsics(self) -> Intrinsics:
        """The camera's focal length and centre."""
        return self._path.intrinsics

    def pose(self, index: int) -> Pose:
        """Return the camera's pose at frame ``index``."""
        return self._path.pose(index / self.rate)

    def frame(self, index: int, *, with_depth: bool = False) -> StreetFrame:
        """Return frame ``index``."""
        scene = self._scene(index)
        pose = scene.pose
        canvas = Canvas(self.intrinsics, with_depth=with_depth)
        self._sky.paint(canvas, pose)
        self._ground.paint(canvas, pose)
        painter = Painter(canvas, pose, self._light, self._layout.centre_line)
        for models, reach in scene.flat:
            painter.paint_flat(models, reach)
        models = [*scene.standing, *scene.moving.values()]
        painter.paint(models)

        image = canvas.image()
        shadows = [model.shadow for model in models if model.shadow is not None]
        self._ground.shade(image, canvas.ground(), pose, self.intrinsics, shadows)
        depth = canvas.depth() if with_depth else None
        return StreetFrame(self._sensor.expose(image, index), canvas.labels(), depth)

    def flow(self, index: int, other: int) -> np.ndarray:
        """Return where frame ``other`` shows the points that frame ``index`` shows.

        Returns:
            (H, W, 2) float32 pixels to the right and down, exact for the centre of each pixel,
            also to points that are hidden there or out of the picture; `UNKNOWN` for faces of
            kerbs and for models that the other frame does not have.
        """
        return self._surfaces.flow(self._numbers(index), self._scene(index), self._scene(other))

    @cached_property
    def _surfaces(self) -> SurfacePainter:
        return SurfacePainter(self.seed, self._layout, self.intrinsics)

    def _draw_scene(self, index: int) -> Scene:
        pose, time = self.pose(index), index / self.rate
        blocks = self._blocks_around(pose.along)
        return Scene(
            pose,
            (
                ([block.markings for block in blocks], _REACH),
                ([block.joints for block in blocks], _JOINT_REACH),
            ),
            [m for block in blocks for m in block.standing if self._in_sight(m, pose.along)],
            {**self._traffic.models(time), **self._crossings.models(time)},
        )

    def _blocks_around(self, along: float) -> list[Block]:
        first = int((along - 20.0) // BLOCK_LENGTH)
        last = int((along + _REACH) // BLOCK_LENGTH)
        return [self._block(number) for number in range(first, last + 1)]

    def _in_sight(self, model: PlacedModel, along: float) -> bool:
        start, end = model.box[2], model.box[3]
        long = end - start > 6.0
        return end > along - 8.0 and start < along + (_REACH if long else _DETAIL_REACH)
