"""The ground: road, kerbs, verges, sidewalks and gardens, with grain, shadows and haze."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from tdnet_offline.street.camera import Intrinsics, Pose
from tdnet_offline.street.canvas import NEAR, Canvas, clip_near
from tdnet_offline.street.layout import KERB_HEIGHT, Layout
from tdnet_offline.street.light import Light
from tdnet_offline.street.materials import Material
from tdnet_offline.street.randomness import generator, smooth_noise

_REACH = np.concatenate([np.arange(-8.0, 40.0, 4.0), np.geomspace(40.0, 330.0, 24)])
_TILE = 512
_SHADOW_REACH = 110.0
_FINE, _COARSE = 22.0, 3.2
"""Texture pixels per metre of the two ground textures."""


@dataclass(frozen=True)
class GroundColours:
    """RGB of the ground's surfaces, 0 to 255, before light."""

    road: np.ndarray
    kerb: np.ndarray
    sidewalk: np.ndarray
    grass: np.ndarray
    yard: np.ndarray


def draw_ground_colours(seed: int) -> GroundColours:
    """Draw the colours from the seed."""
    rng = generator(seed, 31)
    sidewalk = rng.choice(np.array([[168, 162, 156], [150, 150, 152], [172, 150, 138]]))
    return GroundColours(
        road=np.full(3, rng.uniform(96, 128)) + rng.normal(0, 2.5, 3),
        kerb=np.full(3, rng.uniform(165, 195)) + rng.normal(0, 3, 3),
        sidewalk=sidewalk + rng.normal(0, 5, 3) + rng.normal(0, 8),
        grass=np.array([104, 132, 66]) + rng.normal(0, 9, 3),
        yard=np.array([142, 132, 112]) + rng.normal(0, 8, 3),
    )


class Ground:
    """Paints the ground of every frame of one drive."""

    def __init__(self, seed: int, layout: Layout, light: Light, colours: GroundColours) -> None:
        """Draw the ground's textures from the seed."""
        rng = generator(seed, 37)
        self._layout, self._light, self._colours = layout, light, colours
        self._grain = smooth_noise(rng, (_TILE, _TILE), 4, octaves=2)
        self._patches = smooth_noise(rng, (_TILE, _TILE), 32, octaves=5)

    def paint(self, canvas: Canvas, pose: Pose) -> None:
        """Paint the surfaces without haze and shadow; ``shade`` adds both."""
        colours, layout = self._colours, self._layout
        self._strip(canvas, pose, -900.0, 900.0, 0.0, colours.grass, Material.TERRAIN)
        widest = max(layout.kerb(1), layout.kerb(-1))
        self._strip(canvas, pose, -widest, widest, 0.0, colours.road, Material.ROAD)
        for sign in (-1, 1):
            side = layout.side(sign)
            kerb, start = layout.kerb(sign), layout.sidewalk_start(sign)
            end, line = layout.sidewalk_end(sign), layout.building_line(sign)
            verge = (colours.grass, Material.TERRAIN)
            paved = (colours.sidewalk, Material.SIDEWALK)
            yard = (colours.yard, Material.TERRAIN)
            self._kerb_face(canvas, pose, sign * kerb)
            # The camera looks across the kerb from the road, so each strip hides the one before.
            for near, far, (colour, material) in (
                (line, 200.0, yard),
                (end, line, verge),
                (start, end, paved),
                (kerb + 0.16, start, verge if side.green_verge else paved),
                (kerb, kerb + 0.16, (colours.kerb, Material.KERB)),
            ):
                if far > near:
                    self._strip(
                        canvas, pose, sign * near, sign * far, KERB_HEIGHT, colour, material
                    )

    def _level_paint(self, colour: np.ndarray, material: Material) -> tuple[int, ...]:
        lit = colour * float(self._light.shade(np.array([0.0, 0.0, 1.0]))) * self._light.tint
        return (*np.clip(np.rint(lit), 0, 255).astype(int).tolist(), int(material))

    def _strip(
        self,
        canvas: Canvas,
        pose: Pose,
        left: float,
        right: float,
        height: float,
        colour: np.ndarray,
        material: Material,
    ) -> None:
        along = pose.along + _REACH
        centre = self._layout.centre_line.offsets(along)
        sides = [
            np.stack([centre + lateral, along, np.full_like(along, height)], axis=1)
            for lateral in (left, right)
        ]
        outline = pose.to_camera(np.concatenate([sides[0], sides[1][::-1]]))
        canvas.fill_camera(outline, self._level_paint(colour, material))

    def _kerb_face(self, canvas: Canvas, pose: Pose, lateral: float) -> None:
        along = pose.along + _REACH
        centre = self._layout.centre_line.offsets(along) + lateral
        foot = np.stack([centre, along, np.zeros_like(along)], axis=1)
        top = foot + np.array([0.0, 0.0, KERB_HEIGHT])
        outline = pose.to_camera(np.concatenate([foot, top[::-1]]))
        canvas.fill_camera(outline, self._level_paint(self._colours.kerb * 0.72, Material.KERB))

    def shade(
        self,
        image: np.ndarray,
        coverage: np.ndarray,
        pose: Pose,
        intrinsics: Intrinsics,
        shadows: Iterable[np.ndarray],
    ) -> None:
        """Lay grain, shadows and haze over the ground's pixels, in place.

        Args:
            image: (H, W, 3) uint8 RGB.
            coverage: (H, W) uint8, how much of a pixel is ground.
            pose: the camera's.
            intrinsics: the camera's.
            shadows: outlines on the ground, (N, 2) world metres.
        """
        down, forward = pose.rotation[1], pose.rotation[2]
        rows = np.arange(intrinsics.height)
        slope = -((rows - intrinsics.centre[1]) / intrinsics.focal * down[2] + forward[2])
        first = int(np.searchsorted(slope, 1e-4))
        if first >= intrinsics.height:
            return
        distance = (pose.position[2] / slope[first:]).astype(np.float32)
        size = (intrinsics.width, intrinsics.height - first)

        # Metres of ground under one picture row; the grain fades where it is finer than that.
        footprint = distance**2 / (intrinsics.focal * pose.position[2])
        fade = np.clip(1.4 / (footprint * _FINE), 0.0, 1.0).astype(np.float32)
        light = 1.0 + 0.055 * self._texture(
            self._patches, _COARSE, pose, intrinsics, first, size, coarse=True
        )
        # Near rows only: farther off the grain is finer than a pixel.
        near = int(np.searchsorted(fade, 0.06))
        grain = self._texture(
            self._grain, _FINE, pose, intrinsics, first + near, (size[0], size[1] - near)
        )
        light[near:] += (0.045 * fade[near:])[:, None] * grain
        light *= self._shadow_map(pose, intrinsics, first, size, shadows)
        haze = self._light.haze(distance)[:, None].astype(np.float32)
        cover = coverage[first:].astype(np.float32) * np.float32(1 / 255)
        veil = cover * haze
        factor = 1.0 + cover * (light - 1.0) - veil * light
        lit = cv2.multiply(image[first:], cv2.merge([factor] * 3), dtype=cv2.CV_32F)
        veils = cv2.merge([veil * np.float32(c) for c in self._light.haze_colour])
        image[first:] = cv2.add(lit, veils, dtype=cv2.CV_8U)

    def _to_picture(
        self, scale: float, pose: Pose, intrinsics: Intrinsics, first: int
    ) -> np.ndarray:
        """Return the homography from ground texture to picture pixels from row ``first`` on."""
        x, y, z = pose.position
        # Positions are taken modulo the tile, to keep the numbers small along the street.
        tile = _TILE / scale
        base = np.array([x - x % tile, y - y % tile, 0.0])
        ground = np.stack(
            [
                pose.rotation[:, 0] / scale,
                pose.rotation[:, 1] / scale,
                pose.rotation @ (base - (x, y, z)),
            ],
            axis=1,
        )
        matrix = intrinsics.matrix()
        matrix[1, 2] -= first
        return matrix @ ground

    def _texture(
        self,
        tile: np.ndarray,
        scale: float,
        pose: Pose,
        intrinsics: Intrinsics,
        first: int,
        size: tuple[int, int],
        coarse: bool = False,
    ) -> np.ndarray:
        """Return (H, W) float32 of a repeating texture that lies on the ground.

        ``coarse``: computed at half the resolution, for smooth textures.
        """
        step = 2 if coarse else 1
        sparse = np.array([[step, 0.0, 0.0], [0.0, step, 0.0], [0.0, 0.0, 1.0]])
        back = np.linalg.inv(self._to_picture(scale, pose, intrinsics, first)) @ sparse
        texture = cv2.warpPerspective(
            tile,
            back,
            (-(-size[0] // step), -(-size[1] // step)),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_WRAP,
        )
        return cv2.resize(texture, size) if coarse else texture

    def _shadow_map(
        self,
        pose: Pose,
        intrinsics: Intrinsics,
        first: int,
        size: tuple[int, int],
        shadows: Iterable[np.ndarray],
    ) -> np.ndarray:
        mask = np.full((size[1], size[0]), 255, np.uint8)
        dark = int(255 * min(self._light.shadow, 0.72))
        outlines = list(shadows)
        if not outlines:
            return mask.astype(np.float32) * np.float32(1 / 255)
        ends = np.cumsum([len(outline) for outline in outlines])
        flat = np.concatenate(outlines).astype(np.float64)
        camera = pose.to_camera(np.column_stack([flat, np.zeros(len(flat))]))
        starts = np.concatenate([[0], ends[:-1]])
        nearest = np.minimum.reduceat(camera[:, 2], starts)
        farthest = np.maximum.reduceat(camera[:, 2], starts)
        at = self._pixels(camera, intrinsics, first)
        for index in np.flatnonzero((farthest > NEAR) & (nearest < _SHADOW_REACH)).tolist():
            part = slice(int(starts[index]), int(ends[index]))
            if nearest[index] >= NEAR:
                corners = at[part]
            else:
                corners = self._pixels(clip_near(camera[part]), intrinsics, first)
            cv2.fillConvexPoly(mask, corners, dark, cv2.LINE_8, 3)
        return cv2.blur(mask, (3, 3)).astype(np.float32) * np.float32(1 / 255)

    @staticmethod
    def _pixels(camera: np.ndarray, intrinsics: Intrinsics, first: int) -> np.ndarray:
        """Return camera points as eighths of picture pixels below row ``first``."""
        depth = np.maximum(camera[:, 2:], 1e-3)
        at = camera[:, :2] / depth * intrinsics.focal + intrinsics.centre - (0, first)
        return np.rint(np.clip(at, -1e5, 1e5) * 8).astype(np.int32)
