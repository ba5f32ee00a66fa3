"""The ground: road, kerbs, verges, sidewalks and gardens, with grain, shadows and haze."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tdnet_offline.street.camera import Intrinsics, Pose
from tdnet_offline.street.canvas import NEAR, Canvas, clip_near, surfaces_of
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
        grass, road = (colours.grass, Material.TERRAIN), (colours.road, Material.ROAD)
        paved, yard = (colours.sidewalk, Material.SIDEWALK), (colours.yard, Material.TERRAIN)
        kerb, kerb_face = (colours.kerb, Material.KERB), (colours.kerb * 0.72, Material.KERB)
        self._strip(canvas, pose, (-900.0, 0.0), (900.0, 0.0), grass)
        widest = max(layout.kerb(1), layout.kerb(-1))
        self._strip(canvas, pose, (-widest, 0.0), (widest, 0.0), road)
        for sign in (-1, 1):
            edge, start = layout.kerb(sign), layout.sidewalk_start(sign)
            end, line = layout.sidewalk_end(sign), layout.building_line(sign)
            foot, top = (sign * edge, 0.0), (sign * edge, KERB_HEIGHT)
            self._strip(canvas, pose, foot, top, kerb_face)
            # The camera looks across the kerb from the road, so each strip hides the one before.
            for near, far, surface in (
                (line, 200.0, yard),
                (end, line, grass),
                (start, end, paved),
                (edge + 0.16, start, grass if layout.side(sign).green_verge else paved),
                (edge, edge + 0.16, kerb),
            ):
                if far > near:
                    low, high = (sign * near, KERB_HEIGHT), (sign * far, KERB_HEIGHT)
                    self._strip(canvas, pose, low, high, surface)

    def _strip(
        self,
        canvas: Canvas,
        pose: Pose,
        first: tuple[float, float],
        second: tuple[float, float],
        surface: tuple[np.ndarray, Material],
    ) -> None:
        """Paint a strip along the street between two lines, (lateral, height) in metres."""
        along = pose.along + _REACH
        centre = self._layout.centre_line.offsets(along)
        sides = [
            np.stack([centre + lateral, along, np.full_like(along, height)], axis=1)
            for lateral, height in (first, second)
        ]
        outline = pose.to_camera(np.concatenate([sides[0], sides[1][::-1]]))
        colour, material = surface
        lit = colour * float(self._light.shade(np.array([0.0, 0.0, 1.0]))) * self._light.tint
        paint = (*np.clip(np.rint(lit), 0, 255).astype(int).tolist(), int(material))
        if canvas.surfaces is None:
            canvas.fill_camera(outline, paint)
            return
        # Level strips are planes; a kerb's face follows the bends, one plane for each step.
        level = first[1] == second[1]
        near, far = (pose.to_camera(side) for side in sides)
        for step in range(1 if level else len(along) - 1):
            part = slice(None) if level else slice(step, step + 2)
            points = np.concatenate([near[part], far[part][::-1]])
            canvas.fill_camera(points, paint, surfaces_of(points[None])[0])

    def shade(
        self,
        image: np.ndarray,
        coverage: np.ndarray,
        pose: Pose,
        intrinsics: Intrinsics,
        shadows: Sequence[np.ndarray],
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
        view = _View(pose, intrinsics, first)

        # Metres of ground under one picture row; the grain fades where it is finer than that.
        footprint = distance**2 / (intrinsics.focal * pose.position[2])
        fade = np.clip(1.4 / (footprint * _FINE), 0.0, 1.0).astype(np.float32)
        # Patches are smooth: half the resolution suffices.
        patches = cv2.resize(view.lay(self._patches, _COARSE, step=2), view.size)
        light = 1.0 + 0.055 * patches
        # Near rows only: farther off the grain is finer than a pixel.
        near = int(np.searchsorted(fade, 0.06))
        grain = _View(pose, intrinsics, first + near).lay(self._grain, _FINE)
        light[near:] += (0.045 * fade[near:])[:, None] * grain
        light *= self._shadow_map(view, shadows)
        haze = self._light.haze(distance)[:, None].astype(np.float32)
        cover = coverage[first:].astype(np.float32) * np.float32(1 / 255)
        veil = cover * haze
        factor = 1.0 + cover * (light - 1.0) - veil * light
        lit = cv2.multiply(image[first:], cv2.merge([factor] * 3), dtype=cv2.CV_32F)
        veils = cv2.merge([veil * np.float32(c) for c in self._light.haze_colour])
        image[first:] = cv2.add(lit, veils, dtype=cv2.CV_8U)

    def _shadow_map(self, view: _View, shadows: Sequence[np.ndarray]) -> np.ndarray:
        mask = np.full(view.size[::-1], 255, np.uint8)
        dark = int(255 * min(self._light.shadow, 0.72))
        flat = np.concatenate([np.empty((0, 2)), *shadows])
        camera = view.pose.to_camera(np.column_stack([flat, np.zeros(len(flat))]))
        pixels, depth = view.pixels(camera), camera[:, 2]
        bounds = np.cumsum([0, *(len(outline) for outline in shadows)])
        nearest = np.minimum.reduceat(depth, bounds[:-1])
        farthest = np.maximum.reduceat(depth, bounds[:-1])
        for index in np.flatnonzero((farthest > NEAR) & (nearest < _SHADOW_REACH)).tolist():
            corners = pixels[bounds[index] : bounds[index + 1]]
            if nearest[index] < NEAR:
                part = camera[bounds[index] : bounds[index + 1]]
                corners = view.pixels(clip_near(part))
            cv2.fillConvexPoly(mask, corners, dark, cv2.LINE_8, 3)
        return cv2.blur(mask, (3, 3)).astype(np.float32) * np.float32(1 / 255)


@dataclass(frozen=True)
class _View:
    """The part of a camera's picture below row ``first``."""

    pose: Pose
    intrinsics: Intrinsics
    first: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.intrinsics.width, self.intrinsics.height - self.first

    def pixels(self, camera: np.ndarray) -> np.ndarray:
        """Return (N, 3) camera points as (N, 2) eighths of pixels."""
        depth = np.maximum(camera[:, 2:], 1e-3)
        at = camera[:, :2] / depth * self.intrinsics.focal
        at = at + self.intrinsics.centre - (0, self.first)
        return np.rint(np.clip(at, -1e5, 1e5) * 8).astype(np.int32)

    def lay(self, tile: np.ndarray, scale: float, step: int = 1) -> np.ndarray:
        """Return (H, W) float32 of a repeating texture that lies on the ground.

        Args:
            tile: the texture.
            scale: its pixels per metre.
            step: picture pixels per pixel of the result.
        """
        x, y, z = self.pose.position
        # Positions are taken modulo the tile, to keep the numbers small along the street.
        period = _TILE / scale
        base = np.array([x - x % period, y - y % period, 0.0])
        rotation = self.pose.rotation
        origin = rotation @ (base - (x, y, z))
        ground = np.stack([rotation[:, 0] / scale, rotation[:, 1] / scale, origin], axis=1)
        matrix = self.intrinsics.matrix()
        matrix[1, 2] -= self.first
        back = np.linalg.inv(matrix @ ground) @ np.diag((step, step, 1.0))
        size = (-(-self.size[0] // step), -(-self.size[1] // step))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpPerspective(tile, back, size, flags=flags, borderMode=cv2.BORDER_WRAP)
