"""What the camera's sensor makes of the light: exposure, colour, blur, vignette, noise."""

from __future__ import annotations

import cv2
import numpy as np

from tdnet_offline.street.light import Light
from tdnet_offline.street.randomness import generator

_MARGIN = 64


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
