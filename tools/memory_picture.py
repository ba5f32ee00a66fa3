"""Draws the README's picture: frames without some rows, segmented with and without memory.

    python -m tools.memory_picture OUTPUT.webp

Left: the camera image. Middle: labels of the packaged network without its memory. Right: with its
memory. Top: the drawn street. Bottom: the motorway video of the demo. Every frame loses 30 % of
its rows at a random place.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice

import cv2
import numpy as np
import numpy.typing as npt

from tdnet.frames.postprocess import OutputOptions
from tdnet.network.temporal_memory import MemoryAccess
from tdnet.overlay.renderer import OverlayRenderer
from tdnet.settings import SegmenterSettings
from tdnet_offline.damage import Damage
from tdnet_offline.frames import Frame, open_source
from tdnet_offline.street import StreetDrive
from tools.demo.sources import HIGHWAY_VIDEO

FRAMES = 30
RATE = 10.0
STREET = 1_000_001
VIDEO_STEP = 3
"""Every third of the motorway's 25 frames per second."""
PANEL = (320, 160)
GAP = 6
DAMAGE = Damage(stripe=0.3)
QUALITY = 60

Image = npt.NDArray[np.uint8]


def street_images() -> Iterator[Image]:
    """Yield the frames of a drawn street."""
    drive = StreetDrive(STREET, (480, 960), RATE)
    yield from (drive.frame(index).image for index in range(FRAMES))


def motorway_images() -> Iterator[Image]:
    """Yield frames of the motorway video, cropped to the shape of a panel."""
    frames = iter(open_source(HIGHWAY_VIDEO))
    for frame in islice(frames, 0, FRAMES * VIDEO_STEP, VIDEO_STEP):
        assert isinstance(frame, Frame)
        height, width = frame.image.shape[:2]
        yield np.ascontiguousarray(frame.image[height - width * PANEL[1] // PANEL[0] :])


def panels(images: Iterator[Image]) -> Iterator[Image]:
    """Yield the camera image and both overlays of each frame, side by side."""
    segmenter = SegmenterSettings(device="cpu").build()
    stream = segmenter.open_stream()
    options = OutputOptions(overlay=OverlayRenderer(segmenter.class_map, alpha=0.65, legend=False))
    for number, image in enumerate(images):
        damaged = DAMAGE.apply(image, number)
        withheld = stream.step(damaged, options, MemoryAccess(read=False, write=False))
        used = stream.step(damaged, options)
        pictures = (damaged, withheld.overlay, used.overlay)
        small = [
            cv2.resize(picture, PANEL, interpolation=cv2.INTER_AREA)
            for picture in pictures
            if picture is not None
        ]
        gap = np.full((PANEL[1], GAP, 3), 255, np.uint8)
        yield np.hstack([small[0], gap, small[1], gap, small[2]])


def main() -> None:
    """Write the animation; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", help="file to write, .webp or .gif")
    output = parser.parse_args().output
    animation = cv2.Animation()
    for street, motorway in zip(panels(street_images()), panels(motorway_images()), strict=False):
        gap = np.full((GAP, street.shape[1], 3), 255, np.uint8)
        picture = np.vstack([street, gap, motorway])
        animation.frames = [*animation.frames, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)]
    animation.durations = [round(2000 / RATE)] * len(animation.frames)
    cv2.imwriteanimation(output, animation, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])


if __name__ == "__main__":
    main()
