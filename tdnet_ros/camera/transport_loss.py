"""Frames of a camera that did not arrive: counted by the middleware, estimated from stamps."""

from __future__ import annotations

from collections import deque

import numpy as np

# Stamps in the estimate, at most, and for a slow camera.
STAMPS = 256
SLOW_STAMPS = 64
SECONDS = 10.0
# Neighbours on each side that an interval is compared with.
CONTEXT = 8
# Share of the intervals that must be near a multiple of the camera's period, and how near.
REGULAR_SHARE = 0.8
NEAR = 0.25
# A longer interval, in periods, and fewer jumps than these are pauses of the camera.
LONGEST_JUMP = 30
FEWEST_JUMPS = 3


def missing_frames(stamps_ns: np.ndarray) -> int:
    """Estimate how many frames are missing between those with the given stamps.

    A jump of k periods is k - 1 missing frames. The period is taken from the intervals on both
    sides of a jump, so that a change of the camera's rate counts none. A camera without a steady
    period, single pauses, and the first and last `CONTEXT` intervals count as 0.

    Args:
        stamps_ns: (n,) nanoseconds in order of arrival; a stamp that goes back begins a new
            stretch.
    """
    intervals = np.diff(stamps_ns.astype(np.float64))
    breaks = np.flatnonzero(intervals <= 0)
    stretches = np.split(intervals, breaks)
    ratios = np.concatenate([_periods(part[part > 0]) for part in stretches])
    if not len(ratios):
        return 0
    whole = np.round(ratios)
    jumps = whole[(whole >= 2) & (whole <= LONGEST_JUMP)]
    if np.mean(np.abs(ratios - whole) <= NEAR) < REGULAR_SHARE or len(jumps) < FEWEST_JUMPS:
        return 0
    return int(np.sum(jumps - 1))


def _periods(intervals: np.ndarray) -> np.ndarray:
    """Return the lengths, 1 or more, of all intervals with a full context, in periods."""
    count = len(intervals) - 2 * CONTEXT
    if count <= 0:
        return np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(intervals, CONTEXT)
    before, after = windows[:count], windows[CONTEXT + 1 :]
    period = np.maximum(_shortest(before), _shortest(after))
    return np.maximum(intervals[CONTEXT:-CONTEXT] / period, 1.0)


def _shortest(windows: np.ndarray) -> np.ndarray:
    """Return the typical length of the shortest intervals of each row, those of one period."""
    ascending = np.sort(windows, axis=1)
    single = np.count_nonzero(ascending < 1.5 * ascending[:, :1], axis=1)
    return ascending[np.arange(len(ascending)), (single - 1) // 2]


class TransportLoss:
    """Estimates how many frames did not reach this node; used by the executor's thread only.

    The middleware counts lost frames exactly, if it can, but only on the last hop to this node.
    Stamps show every missing frame, but not the cause: a loss on any hop, a frame that the camera
    skipped, or one superseded in the subscription's queue of one frame while the executor was
    busy.
    """

    def __init__(self) -> None:
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=STAMPS)

    def received(self, now: float, stamp_ns: int) -> None:
        """Note the stamp of a message: seconds of a steady clock, nanoseconds."""
        self._arrivals.append((now, stamp_ns))

    def estimate(self, now: float) -> tuple[int, int]:
        """Return how many of the latest frames are missing, by their stamps, and how many arrived.

        Latest are those of the last `SECONDS`, or for a slow camera the last `SLOW_STAMPS`.
        """
        recent = sum(arrived >= now - SECONDS for arrived, _ in self._arrivals)
        if not recent:
            return 0, 0
        stamps = np.array([stamp for _, stamp in self._arrivals], np.int64)
        latest = stamps[-max(recent, SLOW_STAMPS) :]
        return missing_frames(latest), len(latest)
