"""NVIDIA's Jetson modules by what limits a network on them; docs/jetson.md names the sources."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PowerMode:
    """What a power mode of `nvpmodel` leaves of a module.

    Attributes:
        name: as nvpmodel shows it.
        teraflops: 10^12 dense float16 operations a second of the GPU's tensor cores; a
            multiply-add is two.
        gigabytes_per_second: bandwidth of the memory, 10^9 bytes a second.
    """

    name: str
    teraflops: float
    gigabytes_per_second: float


@dataclass(frozen=True)
class Board:
    """A module.

    Attributes:
        name: NVIDIA's, with its memory.
        gibibytes: memory, which CPU and GPU share.
        watts: range of its power modes.
        modes: its power modes, the fastest first.
    """

    name: str
    gibibytes: int
    watts: str
    modes: tuple[PowerMode, ...]

    @property
    def fastest(self) -> PowerMode:
        """The mode that has the whole module."""
        return self.modes[0]


def _orin(name: str, multiprocessors: int, megahertz: int, bandwidth: float) -> PowerMode:
    """Describe a mode of an Orin: 1024 dense float16 multiply-adds a clock and multiprocessor."""
    return PowerMode(name, 2 * 1024 * multiprocessors * megahertz / 1e6, bandwidth)


def _thor(name: str, sparse_float4_teraflops: float, bandwidth: float) -> PowerMode:
    """Describe a Thor: halve what NVIDIA gives, for dense numbers, for 8 and for 16 bits."""
    return PowerMode(name, sparse_float4_teraflops / 8, bandwidth)


BOARDS: tuple[Board, ...] = (
    Board(
        "Orin Nano 4 GB",
        4,
        "7 to 25",
        (_orin("MAXN_SUPER, 25W", 4, 1020, 51.2), _orin("10W", 4, 612, 34.1)),
    ),
    Board(
        "Orin Nano 8 GB",
        8,
        "7 to 25",
        (
            _orin("MAXN_SUPER", 8, 1020, 102.4),
            _orin("25W", 8, 918, 102.4),
            _orin("15W", 8, 612, 68.3),
        ),
    ),
    Board(
        "Orin NX 8 GB",
        8,
        "10 to 40",
        (
            _orin("MAXN_SUPER, 40W", 8, 1173, 102.4),
            _orin("20W", 8, 408, 102.4),
            _orin("15W", 4, 612, 102.4),
            _orin("10W", 4, 612, 68.3),
        ),
    ),
    Board(
        "Orin NX 16 GB",
        16,
        "10 to 40",
        (
            _orin("MAXN_SUPER, 40W", 8, 1173, 102.4),
            _orin("25W", 8, 408, 102.4),
            _orin("15W", 4, 612, 102.4),
            _orin("10W", 4, 612, 68.3),
        ),
    ),
    Board(
        "AGX Orin 32 GB",
        32,
        "15 to 40",
        (
            _orin("MAXN", 14, 939, 204.8),
            _orin("40W", 14, 816, 204.8),
            _orin("30W", 8, 612, 204.8),
            _orin("15W", 6, 408, 136.5),
        ),
    ),
    Board(
        "AGX Orin 64 GB",
        64,
        "15 to 60",
        (
            _orin("MAXN", 16, 1300, 204.8),
            _orin("50W", 16, 816, 204.8),
            _orin("30W", 8, 612, 204.8),
            _orin("15W", 6, 408, 136.5),
        ),
    ),
    Board("Thor T4000", 64, "40 to 70", (_thor("MAXN", 1200, 273.0),)),
    Board("Thor T5000", 128, "40 to 130", (_thor("MAXN", 2070, 273.0),)),
)
