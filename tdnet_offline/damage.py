"""Damage of camera frames: rows lost, as in a truncated JPEG or behind a wiper, and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tdnet.errors import InputError

LOST_GREY = 128
"""Grey level of lost rows, as decoders fill in for missing JPEG data."""
MAX_STRIPE = 0.9
MAX_NOISE = 255.0
_STREAM = 7
"""Separates these random numbers from others of the same seed."""


@dataclass(frozen=True)
class Damage:
    """Damage of every frame of a stream, drawn independently for each frame.

    Attributes:
        stripe: share of lost rows, 0 to 0.9; neighbouring rows at a random place.
        noise: standard deviation of Gaussian noise in grey levels, 0 to 255.
    """

    stripe: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            InputError: a number is out of its range.
        """
        for name, most in (("stripe", MAX_STRIPE), ("noise", MAX_NOISE)):
            amount = getattr(self, name)
            if not 0 <= amount <= most:
                raise InputError(f"damage {name}={amount:g}; allowed are 0 to {most:g}")

    @classmethod
    def parse(cls, text: str) -> Damage:
        """Read ``none``, ``stripe=SHARE`` or ``noise=GREY_LEVELS``.

        Raises:
            InputError: anything else, or a number out of range.
        """
        if text == "none":
            return cls()
        name, separator, number = text.partition("=")
        if name not in ("stripe", "noise") or not separator:
            raise InputError(
                f"damage {text!r}; allowed are none, stripe=SHARE and noise=GREY_LEVELS, such as "
                "stripe=0.3"
            )
        try:
            amount = float(number)
        except ValueError as error:
            raise InputError(f"damage {text!r}: {number!r} is not a number") from error
        return cls(**{name: amount})

    def __str__(self) -> str:
        parts = [f"{name}={getattr(self, name):g}" for name in ("stripe", "noise")]
        return ",".join(part for part in parts if not part.endswith("=0")) or "none"

    def apply(self, image: npt.NDArray[np.uint8], *seed: int) -> npt.NDArray[np.uint8]:
        """Return a damaged copy of an image (H, W, 3) uint8; without damage, the image itself.

        Args:
            image: a frame.
            seed: numbers from 0 that identify the frame; the same give the same damage.
        """
        if self == NO_DAMAGE:
            return image
        random = np.random.default_rng((_STREAM, *seed))
        damaged = image.copy()
        if self.noise:
            grain = random.normal(0, self.noise, image.shape)
            damaged = np.clip(np.rint(image + grain), 0, 255).astype(np.uint8)
        if self.stripe:
            damaged[lost_rows(len(image), self.stripe, random)] = LOST_GREY
        return damaged


NO_DAMAGE = Damage()


def lost_rows(height: int, share: float, random: np.random.Generator) -> slice:
    """Draw the rows of a stripe: a share of the height at a random place."""
    rows = round(share * height)
    first = int(random.integers(height - rows + 1))
    return slice(first, first + rows)
