"""The contact sheet: frames of the run side by side with their overlays and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

_SHEET_WIDTH = 1500
_GAP = 12
_HEADER = 52
_CAPTION = 38
_PAPER = (250, 250, 251)
_INK = (38, 43, 52)
_MUTED = (110, 117, 128)
_FONT = cv2.FONT_HERSHEY_DUPLEX
# Line fonts are uneven at a few pixels: draw them larger and average.
_SUPERSAMPLING = 4


@dataclass(frozen=True)
class SheetRow:
    """One frame of the contact sheet; pictures are (H, W, 3) uint8 RGB.

    Attributes:
        caption: text below the row.
        pictures: one for each column, from left to right.
    """

    caption: str
    pictures: tuple[Image, ...]


def contact_sheet(columns: Sequence[str], rows: Sequence[SheetRow]) -> Image:
    """Draw a table of pictures.

    Args:
        columns: titles of the columns.
        rows: rows with a picture for each column.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    width = (_SHEET_WIDTH - _GAP * (len(columns) + 1)) // len(columns)
    parts = [_strip(_HEADER, 24, _INK, {_left(i, width): t for i, t in enumerate(columns)})]
    for row in rows:
        height = max(1, round(width * row.pictures[0].shape[0] / row.pictures[0].shape[1]))
        band = _paper(height)
        for index, picture in enumerate(row.pictures):
            left = _left(index, width)
            band[:, left : left + width] = _resized(picture, height, width)
        parts += [band, _strip(_CAPTION, 19, _MUTED, {_GAP: row.caption})]
    return np.concatenate(parts)


def evenly(count: int, wanted: int) -> list[int]:
    """Return up to `wanted` evenly spaced indices of `count` items, first and last included."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(wanted, count))})


def _left(column: int, width: int) -> int:
    return _GAP + column * (width + _GAP)


def _paper(height: int) -> Image:
    return np.full((height, _SHEET_WIDTH, 3), _PAPER, np.uint8)


def _strip(height: int, capital: int, color: tuple[int, int, int], texts: dict[int, str]) -> Image:
    n = _SUPERSAMPLING
    large = np.full((height * n, _SHEET_WIDTH * n, 3), _PAPER, np.uint8)
    thickness = max(1, round(capital * n * 0.66 / 9))
    scale = cv2.getFontScaleFromHeight(_FONT, round(capital * n * 0.66), thickness)
    baseline = round((height + capital * 0.66) / 2) * n
    for left, text in texts.items():
        shown = text.encode("ascii", "replace").decode()
        position = (left * n, baseline)
        cv2.putText(large, shown, position, _FONT, scale, color, thickness, cv2.LINE_AA)
    return _resized(large, height, _SHEET_WIDTH)


def _resized(picture: Image, height: int, width: int) -> Image:
    smaller = picture.shape[1] > width
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)
