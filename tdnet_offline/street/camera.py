"""The camera of the drive: intrinsics, pose, and how it moves along the street."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin, tau

import numpy as np

from tdnet_offline.street.layout import Layout
from tdnet_offline.street.randomness import generator


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion; all lengths in pixels."""

    height: int
    width: int
    focal: float

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the principal point; pixel centres lie on whole numbers."""
        return (self.width - 1) / 2, (self.height - 1) / 2

    def matrix(self) -> np.ndarray:
        """Return the (3, 3) float64 camera matrix, as in ``CameraInfo.k``."""
        x, y = self.centre
        return np.array([[self.focal, 0.0, x], [0.0, self.focal, y], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Pose:
    """Where the camera is and where it looks.

    Attributes:
        position: (3,) float64 metres, world: x right, y along the street, z up.
        rotation: (3, 3) float64, world to camera; rows are right, down, forward.
        along: metres along the street.
        lateral: metres right of the street's centre line.
    """

    position: np.ndarray
    rotation: np.ndarray
    along: float
    lateral: float

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Return (..., 3) camera coordinates (right, down, forward) of world points in metres."""
        return turn(points - self.position, self.rotation)


def turn(points: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return (..., 3) points multiplied by a (3, 3) rotation.

    Element by element: the sums of a matrix product may depend on the number of threads.
    """
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    result = np.empty_like(points)
    for axis, (a, b, c) in enumerate(rotation):
        result[..., axis] = a * x + b * y + c * z
    return result


def look(yaw: float, pitch: float) -> np.ndarray:
    """Return the world-to-camera rotation; radians, yaw to the right, pitch downwards."""
    forward = np.array([sin(yaw) * cos(pitch), cos(yaw) * cos(pitch), -sin(pitch)])
    right = np.array([cos(yaw), -sin(yaw), 0.0])
    return np.stack([right, np.cross(forward, right), forward])


class CameraPath:
    """A camera on a vehicle that drives along its lane: smooth, and known for every time."""

    def __init__(self, seed: int, layout: Layout, size: tuple[int, int]) -> None:
        """Draw the camera and its motion from the seed; ``size`` is (H, W) in pixels."""
        rng = generator(seed, 101)
        self._layout = layout
        self.intrinsics = Intrinsics(size[0], size[1], size[1] * rng.uniform(0.72, 1.02))
        self._start = rng.uniform(0.0, 400.0)
        self._speed = rng.uniform(6.5, 10.0)
        self._height = rng.uniform(1.35, 2.1)
        self._pitch = rng.uniform(-0.01, 0.05)
        self._yaw = rng.normal(0.0, 0.01)
        self._lane = layout.own_lane + rng.uniform(-0.25, 0.25)
        self._periods = rng.uniform((7.0, 5.0, 9.0, 1.1, 3.5), (14.0, 9.0, 17.0, 1.7, 6.0))
        self._phases = rng.uniform(0.0, tau, 5)

    def _wave(self, which: int, time: float) -> float:
        return sin(tau * time / self._periods[which] + self._phases[which])

    def along(self, time: float) -> float:
        """Return the metres along the street at ``time`` seconds; it always grows."""
        wave = 0.18 * self._periods[0] / tau * self._wave(0, time)
        return self._start + self._speed * (time + wave)

    def time_at(self, along: float) -> float:
        """Return the time in seconds at which the camera passes ``along`` metres."""
        time = (along - self._start) / self._speed
        for _ in range(12):
            time -= (self.along(time) - along) / self._speed
        return time

    def pose(self, time: float) -> Pose:
        """Return the camera's pose at ``time`` seconds."""
        along = self.along(time)
        lateral = self._lane + 0.22 * self._wave(1, time)
        street = self._layout.centre_line
        height = self._height + 0.012 * self._wave(3, time)
        position = np.array([lateral + street.offset(along), along, height])
        heading = float(np.arctan(street.slope(along + 4.0)))
        yaw = heading + self._yaw + 0.02 * self._wave(2, time)
        pitch = self._pitch + 0.003 * self._wave(3, time) + 0.003 * self._wave(4, time)
        return Pose(position, look(yaw, pitch), along, lateral)
