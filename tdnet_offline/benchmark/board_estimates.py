"""What to expect of a network on a Jetson: estimates from counted work, not measurements.

docs/jetson.md says what the assumed shares rest on.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from tdnet.variants import Variant, get_variant
from tdnet_offline.benchmark.boards import Board, PowerMode
from tdnet_offline.frame_traffic import FrameTraffic, count_traffic
from tdnet_offline.operations import NetworkCost, count_operations

PEAK_SHARES = (0.15, 0.5)
"""Least and most of the peak that convolutions of one frame are taken to reach."""
BANDWIDTH_SHARES = (0.6, 0.8)
"""Least and most of the bandwidth that the memory is taken to give."""
RESERVED_GIBIBYTES = 3.0
"""Taken for system, node, PyTorch and the context of CUDA, whatever the network."""
USABLE_SHARE = 0.9
"""Of a module's memory that programs are taken to see."""
NETWORK_SHARE = 0.75
"""Of the time between two frames that the network may take; the node needs the rest."""

_GIBIBYTE = 2**30


@dataclass(frozen=True)
class Work:
    """What a frame of a network needs, at float16.

    Attributes:
        paths: sub-networks; each keeps buffers of its own.
        cost: operations, parameters, temporal memory.
        traffic: bytes.
    """

    paths: int
    cost: NetworkCost
    traffic: FrameTraffic

    @property
    def gibibytes(self) -> float:
        """Weights as read (float32) and as used, buffers of each path, memory of a stream."""
        weights = (4 + 2) * self.cost.num_parameters
        buffers = self.paths * self.traffic.live_bytes
        return (weights + buffers + self.cost.memory_bytes / 2) / _GIBIBYTE


@functools.cache
def count_work(variant: str | Variant, input_size: tuple[int, int] | None = None) -> Work:
    """Counts the work of a frame with a full memory, for 19 classes.

    Raises:
        UnknownNameError: no variant has that name.
        InputError: no network takes that size.
    """
    paths = (get_variant(variant) if isinstance(variant, str) else variant).paths
    return Work(paths, count_operations(variant, input_size), count_traffic(variant, input_size))


def estimate_ms(work: Work, mode: PowerMode) -> tuple[float, float]:
    """Gives the shortest and the longest time of the network's frame to expect, in milliseconds.

    Each is the longer of operations / (peak x share) and bytes / (bandwidth x share): the first
    with the greatest shares, and all between the products fused; the second with the least
    shares, and nothing fused.
    """
    (slow, fast), (narrow, wide) = PEAK_SHARES, BANDWIDTH_SHARES
    seconds = (
        max(_computing(work, mode) / fast, _moving(work.traffic.product_bytes, mode) / wide),
        max(_computing(work, mode) / slow, _moving(work.traffic.all_bytes, mode) / narrow),
    )
    return seconds[0] * 1e3, seconds[1] * 1e3


def fits(work: Work, board: Board) -> bool:
    """Says whether the network is expected to fit beside system and libraries."""
    return RESERVED_GIBIBYTES + work.gibibytes <= USABLE_SHARE * board.gibibytes


def keeps_up(work: Work, board: Board, rate: float) -> bool:
    """Says whether a network fits, and keeps up with so many frames a second even if slow."""
    _, longest = estimate_ms(work, board.fastest)
    return fits(work, board) and longest <= NETWORK_SHARE * 1e3 / rate


def _computing(work: Work, mode: PowerMode) -> float:
    """Seconds of the network's operations at the peak."""
    return 2 * work.cost.multiply_adds / (mode.teraflops * 1e12)


def _moving(size: int, mode: PowerMode) -> float:
    """Seconds of so many bytes at the full bandwidth."""
    return size / (mode.gigabytes_per_second * 1e9)
