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


def legend_image(class_map: ClassMap, class_ids: Iterable[int], text_height: int = 16) -> Image:
    """Draw the legend of some classes as a separate image, in one column, in order of id.

    Args:
        class_map: names and colours.
        class_ids: ids of the classes to list; 255 is omitted.
        text_height: height of a capital letter in pixels.

    Returns:
        (H, W, 3) uint8 RGB, of the size of the legend.

    Raises:
        UnknownNameError: the map has no such id.
    """
    entries = _entries(class_map, class_ids)
    grid = _Grid(text_height, len(entries), 1, _text_width(entries, text_height))
    picture = np.empty((*grid.size, 3), np.uint8)
    picture[...] = _PANEL_COLOR
    _draw_panel(grid, entries).draw_on(picture, margin=0)
    return picture


@dataclass(frozen=True)
class _Grid:
    """Positions of the entries of a legend; lengths in pixels."""

    text_height: int
    count: int
    columns: int
    text_width: int

    @property
    def line(self) -> int:
        return round(1.8 * self.text_height)

    @property
    def padding(self) -> int:
        return self.text_height

    @property
    def swatch(self) -> tuple[int, int]:
        return round(1.6 * self.text_height), round(1.2 * self.text_height)

    @property
    def text_offset(self) -> int:
        return self.swatch[0] + round(0.7 * self.text_height)

    @property
    def column(self) -> int:
        return self.text_offset + self.text_width + round(1.5 * self.text_height)

    @property
    def rows(self) -> int:
        return -(-self.count // self.columns)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the panel."""
        last = self.text_offset + self.text_width
        return (
            2 * self.padding + (self.rows - 1) * self.line + self.swatch[1],
            2 * self.padding + (self.columns - 1) * self.column + last,
        )

    def corner(self, index: int) -> tuple[int, int]:
        """Return left and top of the swatch of an entry; columns are filled one after another."""
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
    single = _Grid(text, 1, 1, 0)
    spare = int(_MAX_HEIGHT_SHARE * height) - single.size[0]
    if not entries or spare < 0:
        return None
    columns = -(-len(entries) // (spare // single.line + 1))
    bare = _Grid(text, len(entries), columns, 0)
    room = (int(_MAX_WIDTH_SHARE * width) - bare.size[1]) // columns
    if room < 4 * text:
        return None
    text_width = min(room, _text_width(entries, text))
    return _draw_panel(_Grid(text, len(entries), columns, text_width), entries)


def _draw_panel(grid: _Grid, entries: tuple[Entry, ...]) -> _Panel:
    n = _supersampling(grid.text_height)
    height, width = grid.size
    paper = [np.full((height * n, width * n), value, np.uint8) for value in _PANEL_COLOR]
    color = np.asarray(cv2.merge(paper), np.uint8)
    cover = np.zeros((height * n, width * n), np.uint8)
    _rounded(cover, (0, 0), (width * n, height * n), grid.padding * n // 2, _PANEL_OPACITY)
    scale, thickness = _font(grid.text_height)
    for index, (name, rgb) in enumerate(entries):
        left, top = (value * n for value in grid.corner(index))
        swatch_width, swatch_height = (value * n for value in grid.swatch)
        radius = grid.text_height * n // 4
        _rounded(cover, (left, top), (swatch_width, swatch_height), radius, 255)
        _rounded(color, (left, top), (swatch_width, swatch_height), radius, _SWATCH_BORDER)
        inner = (swatch_width - 2 * n, swatch_height - 2 * n)
        _rounded(color, (left + n, top + n), inner, radius - n, rgb)
        baseline = top + (swatch_height + grid.text_height * n) // 2
        origin = (left + grid.text_offset * n, baseline)
        shown = _shortened(name, grid.text_width, grid.text_height)
        cv2.putText(color, shown, origin, _FONT, scale, _TEXT_COLOR, thickness, cv2.LINE_AA)
        cv2.putText(cover, shown, origin, _FONT, scale, 255, thickness, cv2.LINE_AA)
    solid = cv2.resize(color, (width, height), interpolation=cv2.INTER_AREA)
    opacity = cv2.merge([cv2.resize(cover, (width, height), interpolation=cv2.INTER_AREA)] * 3)
    return _Panel(
        np.asarray(cv2.multiply(solid, opacity, scale=1 / 255), np.uint8),
        np.asarray(255 - opacity, np.uint8),
    )


def _rounded(
    canvas: Image,
    corner: tuple[int, int],
    size: tuple[int, int],
    radius: int,
    color: int | tuple[int, int, int],
) -> None:
    """Fill a rectangle with rounded corners."""
    radius = max(radius, 0)
    left, top = corner[0] + radius, corner[1] + radius
    right, bottom = corner[0] + size[0] - 1 - radius, corner[1] + size[1] - 1 - radius
    cv2.rectangle(canvas, (left, top - radius), (right, bottom + radius), color, -1)
    cv2.rectangle(canvas, (left - radius, top), (right + radius, bottom), color, -1)
    for center in ((left, top), (right, top), (left, bottom), (right, bottom)):
        cv2.circle(canvas, center, radius, color, -1)


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
