"""The legend of a segmentation: colour swatches and class names on a translucent panel."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from tdnet.class_map.classes import UNLABELLED
from tdnet.class_map.model import ClassMap

Image = npt.NDArray[np.uint8]
Entry = tuple[str, tuple[int, int, int]]

_FONT = cv2.FONT_HERSHEY_DUPLEX
_PANEL_COLOR = (18, 20, 26)
_TEXT_COLOR = (245, 246, 248)
_SWATCH_BORDER = (215, 218, 224)
_PANEL_OPACITY = 184
_TEXT_SHARE = 1 / 48
_MIN_TEXT = 8
_MAX_HEIGHT_SHARE = 0.6
_MAX_WIDTH_SHARE = 0.75


def draw_legend(image: Image, class_map: ClassMap, class_ids: Iterable[int]) -> None:
    """Draw the legend of some classes into the upper left corner, in order of id.

    Long names are shortened, and entries flow into columns. An image that is too small for a
    readable legend is not changed. Letters outside ASCII lose their accents.

    Args:
        image: (H, W, 3) uint8 RGB, writable; drawn in place.
        class_map: names and colours.
        class_ids: ids of the classes to list; 255 is omitted.

    Raises:
        UnknownNameError: the map has no such id.
    """
    entries = _entries(class_map, class_ids)
    panel = _panel(image.shape[0], image.shape[1], entries)
    if panel is not None:
        panel.draw_on(image, margin=max(6, min(image.shape[:2]) // 80))


class _Layout:
    """Positions of the entries, which fill columns one after another; lengths in pixels."""

    def __init__(self, text_height: int, count: int, columns: int, text_width: int) -> None:
        self.text_height = self.padding = text_height
        self.text_width = text_width
        self.line = round(1.8 * text_height)
        self.swatch = round(1.6 * text_height), round(1.2 * text_height)
        self.text_offset = self.swatch[0] + round(0.7 * text_height)
        self.column = self.text_offset + text_width + round(1.5 * text_height)
        self.rows = -(-count // columns)
        self.height = 2 * self.padding + (self.rows - 1) * self.line + self.swatch[1]
        last = self.text_offset + text_width
        self.width = 2 * self.padding + (columns - 1) * self.column + last

    def corner(self, index: int) -> tuple[int, int]:
        """Return left and top of the swatch of an entry."""
        column, row = divmod(index, self.rows)
        return self.padding + column * self.column, self.padding + row * self.line


@dataclass(frozen=True)
class _Panel:
    """A drawn legend: the image times ``transparency / 255``, plus ``paint``."""

    paint: Image
    transparency: Image

    def draw_on(self, image: Image, margin: int) -> None:
        """Draw the panel into the upper left corner of an image, in place."""
        height, width = self.paint.shape[:2]
        corner = image[margin : margin + height, margin : margin + width]
        dimmed = cv2.multiply(corner, self.transparency, scale=1 / 255)
        corner[...] = cv2.add(dimmed, self.paint)


def _entries(class_map: ClassMap, class_ids: Iterable[int]) -> tuple[Entry, ...]:
    classes = [class_map.class_by_id(i) for i in sorted(set(class_ids) - {UNLABELLED})]
    return tuple((_drawable(entry.name), entry.color) for entry in classes)


def _drawable(name: str) -> str:
    """Return the name in the characters of OpenCV's fonts."""
    decomposed = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return plain.encode("ascii", "replace").decode()


@lru_cache(maxsize=16)
def _panel(height: int, width: int, entries: tuple[Entry, ...]) -> _Panel | None:
    """Return the legend for an image size; None if there is no room or no entry."""
    text = max(_MIN_TEXT, round(min(height, width) * _TEXT_SHARE))
    single = _Layout(text, 1, 1, 0)
    spare = int(_MAX_HEIGHT_SHARE * height) - single.height
    if not entries or spare < 0:
        return None
    columns = -(-len(entries) // (spare // single.line + 1))
    bare = _Layout(text, len(entries), columns, 0)
    room = (int(_MAX_WIDTH_SHARE * width) - bare.width) // columns
    if room < 4 * text:
        return None
    text_width = min(room, _text_width(entries, text))
    return _draw_panel(_Layout(text, len(entries), columns, text_width), entries)


def _draw_panel(layout: _Layout, entries: tuple[Entry, ...]) -> _Panel:
    n = _supersampling(layout.text_height)
    color = np.full((layout.height * n, layout.width * n, 3), _PANEL_COLOR, np.uint8)
    cover = np.full((layout.height * n, layout.width * n), _PANEL_OPACITY, np.uint8)
    scale, thickness = _font(layout.text_height)
    width, height = (side * n for side in layout.swatch)
    for index, (name, rgb) in enumerate(entries):
        left, top = (place * n for place in layout.corner(index))
        right, bottom = left + width - 1, top + height - 1
        cv2.rectangle(cover, (left, top), (right, bottom), 255, -1)
        cv2.rectangle(color, (left, top), (right, bottom), _SWATCH_BORDER, -1)
        cv2.rectangle(color, (left + n, top + n), (right - n, bottom - n), rgb, -1)
        origin = left + layout.text_offset * n, top + (height + layout.text_height * n) // 2
        shown = _shortened(name, layout.text_width, layout.text_height)
        cv2.putText(color, shown, origin, _FONT, scale, _TEXT_COLOR, thickness, cv2.LINE_AA)
        cv2.putText(cover, shown, origin, _FONT, scale, 255, thickness, cv2.LINE_AA)
    size = layout.width, layout.height
    solid = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
    opacity = cv2.merge([cv2.resize(cover, size, interpolation=cv2.INTER_AREA)] * 3)
    return _Panel(
        np.asarray(cv2.multiply(solid, opacity, scale=1 / 255), np.uint8),
        np.asarray(255 - opacity, np.uint8),
    )


def _supersampling(text_height: int) -> int:
    """Return the factor by which text is drawn larger: small line fonts are uneven."""
    return 4 if text_height < 14 else 2


def _font(text_height: int) -> tuple[float, int]:
    """Return scale and stroke of the supersampled font for capitals of a height."""
    pixels = text_height * _supersampling(text_height)
    thickness = max(1, round(pixels / 12))
    return cv2.getFontScaleFromHeight(_FONT, pixels, thickness), thickness


def _text_width(entries: Iterable[Entry], text_height: int) -> int:
    """Return the width of the longest name."""
    return max((_width(name, text_height) for name, _ in entries), default=0)


def _width(name: str, text_height: int) -> int:
    scale, thickness = _font(text_height)
    (width, _), _ = cv2.getTextSize(name, _FONT, scale, thickness)
    return -(-width // _supersampling(text_height))


def _shortened(name: str, text_width: int, text_height: int) -> str:
    shown = name
    while _width(shown, text_height) > text_width and len(shown) > 2:
        name = name[:-1].rstrip()
        shown = name + ".."
    return shown
