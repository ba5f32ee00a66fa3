"""The day of a drive: sun, haze, clouds and how the camera renders them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tdnet_offline.street.randomness import generator


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
        """What is left of the light on level ground in a shadow, 0 to 1."""
        level = float(self.shade(np.array([0.0, 0.0, 1.0])))
        return 1.0 - self.sunshine * float(self.sun[2]) / level


def draw_light(seed: int) -> Light:
    """Draw the day from the seed: clear, cloudy, overcast or a low warm sun."""
    rng = generator(seed, 11)
    kind = rng.choice(["clear", "cloudy", "overcast", "evening"], p=[0.35, 0.3, 0.2, 0.15])
    azimuth = rng.uniform(0.0, 2 * np.pi)
    elevation = np.radians(rng.uniform(14, 24) if kind == "evening" else rng.uniform(30, 62))
    sun = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            np.cos(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    looks = {
        "clear": (0.48, 0.66, (74, 124, 196), (206, 222, 238), 0.12, (252, 252, 255)),
        "cloudy": (0.36, 0.72, (92, 136, 196), (214, 222, 232), 0.55, (240, 242, 248)),
        "overcast": (0.04, 0.92, (168, 178, 190), (206, 211, 216), 1.0, (196, 202, 210)),
        "evening": (0.52, 0.68, (96, 122, 176), (244, 214, 178), 0.3, (255, 226, 196)),
    }
    sunshine, ambient, zenith, haze, cover, cloud = looks[str(kind)]
    warm = 0.06 if kind == "evening" else 0.0
    jitter = rng.normal(0.0, 5.0, 3)
    return Light(
        sun=sun,
        sunshine=sunshine * float(rng.uniform(0.85, 1.1)),
        ambient=ambient * float(rng.uniform(0.94, 1.06)),
        tint=np.array([1.0 + warm, 1.0, 1.0 - 1.4 * warm]),
        haze_colour=np.clip(np.array(haze) + jitter, 0, 255),
        haze_length=float(rng.uniform(170, 320) if kind == "overcast" else rng.uniform(260, 700)),
        zenith=np.clip(np.array(zenith) + 1.5 * jitter, 0, 255),
        cloud_cover=cover * float(rng.uniform(0.75, 1.2)),
        cloud_colour=np.array(cloud, np.float64),
        exposure=float(rng.uniform(0.9, 1.12)),
        warmth=float(rng.normal(0.0, 0.03)),
        contrast=float(rng.uniform(0.94, 1.1)),
        noise=float(rng.uniform(1.2, 3.6)),
        blur=float(rng.uniform(0.25, 0.6)),
    )
