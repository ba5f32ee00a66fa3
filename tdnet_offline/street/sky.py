"""Sky, clouds and the far skyline: the parts that only turn with the camera."""

from __future__ import annotations

import cv2
import numpy as np

from tdnet_offline.street.camera import Pose
from tdnet_offline.street.canvas import Canvas
from tdnet_offline.street.light import Light
from tdnet_offline.street.materials import Material
from tdnet_offline.street.randomness import generator, smooth_noise

_CLOUD_HEIGHT = 500.0
_CLOUD_PIXEL = 9.0
_COARSE = 8
"""Canvas pixels per computed pixel of sky, which is smooth."""
_SKYLINE_STEPS = 720


class Sky:
    """Paints the background of every frame of one drive."""

    def __init__(self, seed: int, light: Light) -> None:
        """Draw clouds and skyline from the seed."""
        rng = generator(seed, 23)
        self._light = light
        self._clouds = smooth_noise(rng, (512, 512), 128, octaves=6)
        turn = np.linspace(0.0, 2 * np.pi, _SKYLINE_STEPS, endpoint=False)
        trees = smooth_noise(rng, (1, _SKYLINE_STEPS), 30, octaves=5)[0]
        self._trees = 0.035 + 0.022 * trees + 0.012 * np.sin(3 * turn + rng.uniform(0, 6))
        storeys = np.repeat(rng.uniform(0.0, 0.075, _SKYLINE_STEPS // 8), 8)
        self._roofs = storeys * (np.repeat(rng.random(_SKYLINE_STEPS // 24), 24) < 0.6)
        haze = light.haze_colour
        self._tree_colour = self._mix(np.array([70, 92, 66]) * 0.8 * light.tint, haze, 0.62)
        self._roof_colour = self._mix(np.array([120, 112, 108]) * 0.9 * light.tint, haze, 0.62)

    @staticmethod
    def _mix(colour: np.ndarray, haze: np.ndarray, share: float) -> tuple[int, ...]:
        return tuple(np.rint(colour * (1 - share) + haze * share).astype(int).tolist())

    def paint(self, canvas: Canvas, pose: Pose) -> None:
        """Paint the whole upper part of the canvas, down to below the horizon."""
        right, down, forward = pose.rotation
        horizon = canvas.matrix[1, 2] - canvas.focal * forward[2] / -down[2]
        rows = int(np.clip(horizon + 12, _COARSE, canvas.height)) // _COARSE + 1
        columns = -(-canvas.width // _COARSE)
        x = ((np.arange(columns) + 0.5) * _COARSE - canvas.matrix[0, 2]) / canvas.focal
        y = ((np.arange(rows) + 0.5) * _COARSE - canvas.matrix[1, 2]) / canvas.focal
        direction = x[None, :, None] * right + y[:, None, None] * down + forward
        direction = direction.astype(np.float32)
        direction /= np.linalg.norm(direction, axis=2, keepdims=True)
        coarse = np.full((rows, columns, 4), Material.SKY, np.uint8)
        coarse[..., :3] = self._colours(direction, pose)
        size = (columns * _COARSE, rows * _COARSE)
        fine = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
        visible = min(rows * _COARSE, canvas.height)
        canvas.pixels[:visible] = fine[:visible, : canvas.width]
        self._silhouette(canvas, pose, self._roofs, (*self._roof_colour, int(Material.BUILDING)))
        self._silhouette(canvas, pose, self._trees, (*self._tree_colour, int(Material.VEGETATION)))

    def _colours(self, direction: np.ndarray, pose: Pose) -> np.ndarray:
        light = self._light
        up = np.maximum(direction[..., 2], 0.0)
        blend = (1.0 - np.exp(-4.0 * up))[..., None]
        colour = light.haze_colour * (1 - blend) + light.zenith * blend
        glow = np.maximum(direction @ light.sun.astype(np.float32), 0.0)[..., None]
        colour = colour + (light.sunshine * 150.0) * glow**24 + (light.sunshine * 45.0) * glow**4
        reach = _CLOUD_HEIGHT / np.maximum(up, 0.02) / _CLOUD_PIXEL
        at_x = direction[..., 0] * reach + np.float32(pose.position[0] / _CLOUD_PIXEL)
        at_y = direction[..., 1] * reach + np.float32(pose.position[1] / _CLOUD_PIXEL)
        density = self._sample(at_x, at_y)
        towards_sun = self._sample(
            at_x + np.float32(9 * light.sun[0]), at_y + np.float32(9 * light.sun[1])
        )
        cover = np.clip((density - 1.0 + 1.55 * light.cloud_cover) * 1.5, 0.0, 1.0)
        cover = (cover * np.clip((up - 0.02) * 7.0, 0.0, 1.0))[..., None]
        relief = np.clip(1.0 + 0.13 * (density - towards_sun) - 0.05 * density, 0.75, 1.1)
        colour = colour * (1 - cover) + cover * light.cloud_colour * relief[..., None]
        return np.clip(colour, 0, 255).astype(np.uint8)

    def _sample(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        size = np.float32(512)
        return cv2.remap(
            self._clouds,
            np.mod(x, size).astype(np.float32),
            np.mod(y, size).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )

    def _silhouette(
        self, canvas: Canvas, pose: Pose, profile: np.ndarray, paint: tuple[int, ...]
    ) -> None:
        """Paint a profile of tangents of elevation, at infinite distance."""
        forward = pose.rotation[2]
        heading = np.arctan2(forward[0], forward[1])
        turns = heading + np.linspace(-0.75, 0.75, 241)
        index = turns / (2 * np.pi) * _SKYLINE_STEPS
        height = np.interp(index, np.arange(_SKYLINE_STEPS), profile, period=_SKYLINE_STEPS)
        top = np.stack([np.sin(turns), np.cos(turns), height], axis=1) @ pose.rotation.T
        foot = np.stack([np.sin(turns), np.cos(turns), np.full(241, -0.004)], axis=1)
        outline = np.concatenate([top, (foot @ pose.rotation.T)[::-1]])
        canvas.fill_camera(outline, paint)
