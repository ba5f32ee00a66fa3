"""The light of a drive: sun, haze and clouds, and the camera's sensor that records it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tdnet_offline.street.randomness import generator

_MARGIN = 64
_DAYS = {
    "clear": (0.48, 0.66, (74, 124, 196), (206, 222, 238), 0.12, (252, 252, 255)),
    "cloudy": (0.36, 0.72, (92, 136, 196), (214, 222, 232), 0.55, (240, 242, 248)),
    "overcast": (0.04, 0.92, (168, 178, 190), (206, 211, 216), 1.0, (196, 202, 210)),
    "evening": (0.52, 0.68, (96, 122, 176), (244, 214, 178), 0.3, (255, 226, 196)),
}
"""Sunshine, ambient light, zenith, haze, cloud cover and colour of the clouds."""


@dataclass(frozen=True)
class Light:
    """Light and weather; colours are RGB, 0 to 255.

    Attributes:
        sun: (3,) unit vector towards the sun.
        sunshine: share of direct light, 0 (overcast) to about 0.5.
        haze_length: metres after which 63 % of a surface's colour is haze.
    """

    sun: np.ndarray
    sunshine: float
    ambient: float
    tint: np.ndarray
    haze_colour: np.ndarray
    haze_length: float
    zenith: np.ndarray
    cloud_cover: float
    cloud_colour: np.ndarray
    exposure: float
    warmth: float
    contrast: float
    noise: float
    blur: float

    def shade(self, normals: np.ndarray) -> np.ndarray:
        """Return (...,) float brightness of surfaces with the given (..., 3) unit normals."""
        towards = np.maximum(normals @ self.sun, 0.0)
        return self.ambient * (1.0 + 0.12 * normals[..., 2]) + self.sunshine * towards

    def haze(self, distance: np.ndarray) -> np.ndarray:
        """Return (...,) the share of haze, 0 to 1, at distances in metres."""
        return 1.0 - np.exp(-np.maximum(distance, 0.0) / self.haze_length)

    @property
    def shadow(self) -> float:
        """Share of the light on level ground that remains in a shadow, 0 to 1."""
        level = float(self.shade(np.array([0.0, 0.0, 1.0])))
        return 1.0 - self.sunshine * float(self.sun[2]) / level


def draw_light(seed: int) -> Light:
    """Draw the day from the seed: clear, cloudy, overcast or a low warm sun."""
    rng = generator(seed, 11)
    kind = str(rng.choice(list(_DAYS), p=[0.35, 0.3, 0.2, 0.15]))
    azimuth = rng.uniform(0.0, 2 * np.pi)
    elevation = np.radians(rng.uniform(14, 24) if kind == "evening" else rng.uniform(30, 62))
    level = np.array([np.sin(azimuth), np.cos(azimuth)]) * np.cos(elevation)
    sun = np.array([*level, np.sin(elevation)])
    sunshine, ambient, zenith, haze, cover, cloud = _DAYS[kind]
    warm = 0.06 if kind == "evening" else 0.0
    jitter = rng.normal(0.0, 5.0, 3)
    return Light(
        sun=sun,
        sunshine=sunshine * rng.uniform(0.85, 1.1),
        ambient=ambient * rng.uniform(0.94, 1.06),
        tint=np.array([1.0 + warm, 1.0, 1.0 - 1.4 * warm]),
        haze_colour=np.clip(np.array(haze) + jitter, 0, 255),
        haze_length=float(rng.uniform(170, 320) if kind == "overcast" else rng.uniform(260, 700)),
        zenith=np.clip(np.array(zenith) + 1.5 * jitter, 0, 255),
        cloud_cover=cover * rng.uniform(0.75, 1.2),
        cloud_colour=np.array(cloud, np.float64),
        exposure=rng.uniform(0.9, 1.12),
        warmth=rng.normal(0.0, 0.03),
        contrast=rng.uniform(0.94, 1.1),
        noise=rng.uniform(1.2, 3.6),
        blur=rng.uniform(0.25, 0.6),
    )


class Sensor:
    """Turns clean pictures of one drive into camera frames of one size."""

    def __init__(self, seed: int, light: Light, size: tuple[int, int]) -> None:
        """Draw the sensor's noise from the seed; ``size`` is (H, W) in pixels."""
        rng = generator(seed, 41)
        self._seed, self._size, self._blur = seed, size, light.blur
        noise = rng.standard_normal((size[0] + _MARGIN, size[1] + _MARGIN, 3), dtype=np.float32)
        noise = noise * 0.75 + 0.5 * noise[..., :1]
        self._noise = np.clip(np.rint(noise * light.noise), -30, 30).astype(np.int16)
        values = np.arange(256) / 255
        table = np.empty((256, 1, 3), np.uint8)
        for channel, gain in enumerate((1 + light.warmth, 1.0, 1 - light.warmth)):
            bright = values * gain * light.exposure
            curve = (bright - 0.5) * light.contrast + 0.5
            table[:, 0, channel] = np.rint(255 * np.clip(curve, 0, 1))
        self._table = table
        y = np.linspace(-1, 1, size[0])[:, None]
        x = np.linspace(-1, 1, size[1])[None, :]
        shade = 255 * (1 - 0.09 * (x**2 + y**2))
        self._vignette = np.repeat(np.rint(shade).astype(np.uint8)[..., None], 3, axis=2)

    def expose(self, image: np.ndarray, frame: int) -> np.ndarray:
        """Return the (H, W, 3) uint8 camera frame of a clean picture."""
        image = cv2.LUT(image, self._table)
        image = cv2.multiply(image, self._vignette, scale=1 / 255)
        image = cv2.GaussianBlur(image, (3, 3), self._blur)
        row, column = generator(self._seed, 43, frame).integers(0, _MARGIN, 2).tolist()
        height, width = self._size
        part = self._noise[row : row + height, column : column + width]
        return cv2.add(image, part, dtype=cv2.CV_8U)
