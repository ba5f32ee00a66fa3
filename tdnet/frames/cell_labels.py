"""Labels of enlarged logits on a CPU, computed only where classes compete.

To enlarge (K, h, w) logits to an image, and to compare K scores in each pixel, takes longer than
a small network. Most of these comparisons are decided at the logits' size.

**The corner argument.** Four neighbouring logits are the corners of a cell. By bilinear
interpolation, a pixel in the cell has the score ``sum(weight[e] * corner[e])`` for each class.
The four weights are the same for all classes, not negative, and their sum is 1. If class b is
below class a at all four corners, b is below a in every pixel of the cell. The candidates of a
cell are the classes that are not beaten in this way:

- One candidate, as in four of five cells of a street: all pixels of the cell have its label.
- Several: only their scores are interpolated and compared.

**Rounding.** The scores of the pixels are float32. Rounding can reverse the order of classes that
are nearly equal, so a class is beaten only by more than the largest rounding error. The labels
thus equal, in every pixel, those of comparing all classes with the same arithmetic. Of equal
scores, the lowest channel wins.

**Confidence.** The probability of the best class is ``1 / sum(exp(score - best))``. A class with a
difference of at most g at all corners adds at most ``exp(g)`` to the sum. The weakest classes of
a cell, which together add at most `_LEFT_OUT`, are left out. Probabilities are too large by no
more than this: a quarter of a step of the confidence image.

**Half-pixel centres.** If corners are not aligned, the outer pixels lie beyond the centres of the
outer logits and have their scores. With the outer logits repeated once, these pixels lie in cells
too, and everything above holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from tdnet.class_map.classes import UNLABELLED

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

# In smaller cells, in pixels along an axis, it is faster to compare all classes.
_SMALLEST_CELL = 2
# Times the largest logit: three times the rounding error of the difference of two scores.
_ROUNDING = 2.0**-17
_LEFT_OUT = 1 / 1020
# With larger differences of scores in a cell, exponentials are denormal numbers or zero, which no
# factor brings back.
_LARGEST_DIFFERENCE = 80.0
# Scores that are computed together fit the processor's cache.
_SCORES = 1 << 17
_FEWEST_STRIPS = 32


def has_cells(
    logits_size: tuple[int, int], size: tuple[int, int], align_corners: bool = True
) -> bool:
    """Return whether an image has cells that are large enough for `cell_labels`."""
    return all(
        features >= 2 and pixels - align_corners >= _SMALLEST_CELL * (features - align_corners)
        for features, pixels in zip(logits_size, size, strict=True)
    )


def cell_labels(
    logits: Floats,
    size: tuple[int, int],
    ids: Bytes,
    *,
    align_corners: bool = True,
    confidence: bool = False,
    threshold: float = 0.0,
) -> tuple[Bytes, Bytes | None]:
    """Enlarge logits bilinearly; return the labels and the confidence.

    Pixels of a cell with a corner that is not finite are unlabelled, with confidence 0.

    Args:
        logits: (K, h, w) float32, K at most 255.
        size: height H and width W of the images, for which `has_cells` is true.
        ids: (256,) uint8 class id of each channel.
        align_corners: whether the corners of logits and images are aligned; else pixels have
            their centres at half numbers, as with PyTorch's ``interpolate``.
        confidence: whether to compute the confidence.
        threshold: smallest probability, 0 to 1, of a pixel that keeps its label.

    Returns:
        Labels (H, W) uint8; confidence (H, W) uint8, 0 to 255, or None.
    """
    height, width = logits.shape[1:]
    rows, columns = _axis(height, size[0], align_corners), _axis(width, size[1], align_corners)
    if not align_corners:
        logits = np.pad(logits, ((0, 0), (1, 1), (1, 1)), "edge")
    finite = np.logical_and.reduce(np.isfinite(logits))
    if not finite.all():
        logits = np.where(finite, logits, np.float32(0))
    usable = np.logical_and.reduce(_corners(finite))
    best = logits.argmax(0)
    gaps = _gaps(logits, best)
    margin = _ROUNDING * max(float(logits.max()), -float(logits.min()))

    labels = _fill(np.where(usable, ids[best[:-1, :-1]], np.uint8(UNLABELLED)), rows, columns)
    for strips in _contested(logits, (gaps >= -margin) & usable, rows, columns):
        labels.ravel()[strips.pixels()] = cv2.LUT(strips.best_channels(), ids)
    if not confidence and threshold <= 0:
        return labels[:-1], None

    shown = _fill(usable.astype(np.uint8) * np.uint8(255), rows, columns)
    scores = logits - logits.max(0)
    for strips in _contested(scores, _contributing(gaps) & usable, rows, columns):
        pixels, probability = strips.pixels(), strips.probabilities()
        if threshold > 0:
            labels.ravel()[pixels[probability < threshold]] = UNLABELLED
        probability *= 255
        shown.ravel()[pixels] = np.rint(probability, out=probability).astype(np.uint8)
    return labels[:-1], shown[:-1] if confidence else None


class _Axis(NamedTuple):
    """Pixels of an axis of the image, and the cells that they lie in.

    Attributes:
        cell: (n,) cell of each pixel; cell c lies between logits c and c + 1.
        weight: (n,) float32, weight of logit c + 1.
        step: difference of the weights of neighbouring pixels of a cell.
        edges: (cells + 1,) first pixel of each cell; n.
        pixels: (R, cells) the pixels of each cell; n beyond its end.
        weights: (R, cells) float32, their weights.
    """

    cell: Indices
    weight: Floats
    step: np.float32
    edges: Indices
    pixels: Indices
    weights: Floats


@lru_cache(maxsize=16)
def _axis(features: int, pixels: int, align_corners: bool) -> _Axis:
    """Compute float32 positions of pixels as PyTorch's ``interpolate`` does.

    Without aligned corners, the cells are those of logits whose outer ones are repeated.
    """
    index = np.arange(pixels, dtype=np.float32)
    if align_corners:
        step = np.float32(features - 1) / np.float32(pixels - 1)
        position, first, cells = step * index, 0, features - 1
    else:
        step = np.float32(features) / np.float32(pixels)
        position, first, cells = (
            step * (index + np.float32(0.5)) - np.float32(0.5),
            -1,
            features + 1,
        )
    below = np.clip(np.floor(position), first, first + cells - 1)
    weight = np.minimum(position - below, np.float32(1))
    cell = below.astype(np.intp) - first
    edges = np.searchsorted(cell, np.arange(cells + 1))
    inside = edges[:-1] + np.arange(np.diff(edges).max())[:, None]
    inside[inside >= edges[1:]] = pixels
    return _Axis(cell, weight, step, edges, inside, np.append(weight, np.float32(0))[inside])


def _corners(maps: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """Return the four corners (..., h - 1, w - 1) of all cells of maps (..., h, w)."""
    upper, lower = maps[..., :-1, :], maps[..., 1:, :]
    return upper[..., :-1], upper[..., 1:], lower[..., :-1], lower[..., 1:]


def _gaps(logits: Floats, best: Indices) -> Floats:
    """Return (K, h - 1, w - 1): the least that a class is above, or most below, a best class.

    For each class that is best at a corner, take the largest difference to it over all corners;
    the gap is the smallest of these. A class with a negative gap is beaten.

    Args:
        logits: (K, h, w).
        best: (h, w) best class of each position.
    """
    corners = _corners(logits)
    gaps = np.full(corners[0].shape, np.inf, np.float32)
    for winner in _corners(best):
        largest = np.full(corners[0].shape, -np.inf, np.float32)
        for corner in corners:
            difference = corner - np.take_along_axis(corner, winner[None], 0)
            np.maximum(largest, difference, out=largest)
        np.minimum(gaps, largest, out=gaps)
    return gaps


def _contributing(gaps: Floats) -> Mask:
    """Return the classes of each cell that are not left out of probabilities."""
    order = gaps.argsort(0)
    shares = np.exp(np.minimum(np.take_along_axis(gaps, order, 0), 0)).cumsum(0)
    contributing = np.empty(gaps.shape, np.bool_)
    np.put_along_axis(contributing, order, shares > _LEFT_OUT, 0)
    return contributing


def _fill(cells: Bytes, rows: _Axis, columns: _Axis) -> Bytes:
    """Return an image of cells of one value each, with a scratch row at its end."""
    wide = cells.take(columns.cell, 1)
    image = np.empty((len(rows.cell) + 1, len(columns.cell)), np.uint8)
    for band, (begin, end) in enumerate(pairwise(rows.edges)):
        image[begin:end] = wide[band]
    return image


class _Strips(NamedTuple):
    """Strips of cells with the same number k of candidates, one pixel wide and one cell high.

    Attributes:
        rows: rows of the image; R is the largest height of a cell.
        width: width of the image.
        band: (n,) row of cells of each strip.
        column: (n,) column of each strip in the image.
        channels: (k, n) uint8, candidates in ascending order.
        above: (k, n) float32, scores at the upper edge of the cell.
        rise: (k, n) float32, scores at the lower edge less `above`.
    """

    rows: _Axis
    width: int
    band: Indices
    column: Indices
    channels: Bytes
    above: Floats
    rise: Floats

    def pixels(self) -> Indices:
        """Return the positions (R, n) of the pixels in the image.

        Lower cells have fewer pixels; the rest are in the scratch row.
        """
        return (self.rows.pixels * self.width).take(self.band, 1) + self.column

    def best_channels(self) -> Bytes:
        """Return the best channels (R, n)."""
        weight = self.rows.weights.take(self.band, 1)
        best = self.rise[0] * weight
        best += self.above[0]
        channels = np.empty(best.shape, np.uint8)
        channels[:] = self.channels[0]
        for channel, above, rise in zip(
            self.channels[1:], self.above[1:], self.rise[1:], strict=True
        ):
            scores = rise * weight
            scores += above
            better = scores > best
            np.maximum(best, scores, out=best)
            # Channels ascend: a better one is larger than those before it.
            np.maximum(channels, better * channel, out=channels)
        return channels

    def probabilities(self) -> Floats:
        """Return the largest probabilities (R, n).

        The rows of a cell are equally spaced, so the exponential of a score changes by the same
        factor from row to row. Rows are computed from those above: 1 from 1, 2 from 2, 4 from 4.
        """
        if min(self.above.min(), (self.above + self.rise).min()) < -_LARGEST_DIFFERENCE:
            weight = self.rows.weights.take(self.band, 1)
            scores = self.above + self.rise * weight[:, None]
            exponentials = np.exp(scores - scores.max(1, keepdims=True))
            return exponentials.max(1) / exponentials.sum(1)
        height = len(self.rows.pixels)
        exponentials = np.empty((height, *self.rise.shape), np.float32)
        first = self.rows.weights[0].take(self.band)
        np.exp(self.rise * first + self.above, out=exponentials[0])
        done, factor = 1, np.exp(self.rise * self.rows.step)
        while done < height:
            more = min(done, height - done)
            np.multiply(exponentials[:more], factor, out=exponentials[done : done + more])
            done += more
            if done < height:
                factor *= factor
        return exponentials.max(1) / exponentials.sum(1)


def _contested(logits: Floats, candidates: Mask, rows: _Axis, columns: _Axis) -> Iterator[_Strips]:
    """Yield the strips of all cells with several candidates.

    Args:
        logits: (K, h, w).
        candidates: (K, h - 1, w - 1).
        rows: rows of the image.
        columns: columns of the image.
    """
    counts = candidates.sum(0)
    widths = np.diff(columns.edges)
    for count in np.unique(counts[counts > 1]).tolist():
        band, cell = np.nonzero(counts == count)
        channels = np.nonzero(candidates[:, band, cell].T)[1].reshape(-1, count).T
        upper = logits[channels, band, cell]
        upper_rise = logits[channels, band, cell + 1] - upper
        lower = logits[channels, band + 1, cell]
        lower_rise = logits[channels, band + 1, cell + 1] - lower
        codes = channels.astype(np.uint8)
        width = widths[cell]
        owner = np.repeat(np.arange(len(cell)), width)
        first = columns.edges[cell] - (np.cumsum(width) - width)
        column = first[owner] + np.arange(len(owner))
        most = max(_FEWEST_STRIPS, _SCORES // (count * len(rows.pixels)))
        for start in range(0, len(owner), most):
            part = slice(start, start + most)
            at, weight = owner[part], columns.weight[column[part]]
            above = upper.take(at, 1) + upper_rise.take(at, 1) * weight
            below = lower.take(at, 1) + lower_rise.take(at, 1) * weight
            yield _Strips(
                rows,
                len(columns.cell),
                band[at],
                column[part],
                codes.take(at, 1),
                above,
                below - above,
            )
