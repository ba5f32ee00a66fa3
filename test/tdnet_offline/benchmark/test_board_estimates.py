"""The estimates are what their formula gives by hand; the modules' numbers are NVIDIA's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tdnet_offline.benchmark.board_estimates import (
    PEAK_SHARES,
    Work,
    count_work,
    estimate_ms,
    fits,
    keeps_up,
)
from tdnet_offline.benchmark.boards import BOARDS, Board, PowerMode
from tdnet_offline.frame_traffic import FrameTraffic, count_traffic
from tdnet_offline.operations import NetworkCost, count_operations

MODE = PowerMode("40W", teraflops=20.0, gigabytes_per_second=100.0)
BY_NAME = {board.name: board for board in BOARDS}


def work(giga_multiply_adds: float = 0, product: float = 0, everything: float = 0) -> Work:
    traffic = FrameTraffic(int(product * 1e9), int(everything * 1e9), live_bytes=2**28)
    cost = NetworkCost(2**25, int(giga_multiply_adds * 1e9), memory_bytes=2**27)
    return Work(4, cost, traffic)


@pytest.mark.parametrize(
    ("needed", "shortest", "longest"),
    [
        # 200 GFLOP at 20 TFLOPS take 10 ms: at half of it 20 ms, at 15 % 66.7 ms.
        (work(100, 0.1, 0.4), 20, 200 / 3),
        # 1.6 GB at 100 GB/s take 16 ms, at 80 % 20 ms; 6 GB at 60 % 100 ms.
        (work(1, 1.6, 6), 20, 100),
        # Arithmetic bounds the one, memory the other: 4 ms; 3 GB at 60 % 50 ms.
        (work(20, 0.1, 3), 4, 50),
    ],
    ids=["arithmetic", "memory", "one of each"],
)
def test_the_longer_of_computing_and_moving(needed: Work, shortest: float, longest: float) -> None:
    assert estimate_ms(needed, MODE) == pytest.approx((shortest, longest))


def test_memory_is_weights_and_buffers_of_each_path_and_a_stream() -> None:
    # 6 bytes of each of 2^25 parameters, four times 2^28 bytes, half of 2^27 bytes in float32.
    assert work().gibibytes == pytest.approx(6 / 32 + 1 + 1 / 16)


@pytest.mark.parametrize(("gibibytes", "room"), [(4, False), (5, True)])
def test_it_fits_beside_what_is_reserved(gibibytes: int, room: bool) -> None:
    # 3 GiB and 1.25 are 4.25; 90 % of 5 GiB are 4.5.
    assert fits(work(), Board("module", gibibytes, "", (MODE,))) is room


@pytest.mark.parametrize(
    ("gibibytes", "rate", "enough"), [(8, 11.2, True), (8, 11.3, False), (4, 1, False)]
)
def test_keeping_up_needs_room_and_leaves_a_quarter_of_the_time(
    gibibytes: int, rate: float, enough: bool
) -> None:
    # 66.7 ms of 88.9 are three quarters: 11.25 frames a second.
    board = Board("module", gibibytes, "", (MODE, replace(MODE, teraflops=1.0)))
    assert keeps_up(work(100), board, rate) is enough


def test_work_is_what_is_counted() -> None:
    size = (65, 129)
    counted = count_work("td4-psp18-nano", size)
    assert counted.paths == 4
    assert counted.cost == count_operations("td4-psp18-nano", size)
    assert counted.traffic == count_traffic("td4-psp18-nano", size)


@pytest.mark.parametrize(
    ("board", "sparse_int8_tops"),
    [("Orin Nano 4 GB", 34), ("Orin Nano 8 GB", 67), ("AGX Orin 64 GB", 170)],
)
def test_peaks_are_a_quarter_of_what_the_data_sheets_give(
    board: str, sparse_int8_tops: float
) -> None:
    """Of the GPU alone; dense numbers halve it, and 16 bits halve it again."""
    peak = BY_NAME[board].fastest.teraflops
    assert 4 * peak == pytest.approx(sparse_int8_tops, rel=0.02)


def test_the_peak_of_orin_nx_is_the_published_one() -> None:
    assert round(BY_NAME["Orin NX 16 GB"].fastest.teraflops) == 19


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_modes_come_fastest_first(board: Board) -> None:
    peaks = [mode.teraflops for mode in board.modes]
    assert peaks == sorted(peaks, reverse=True)
    assert all(
        mode.gigabytes_per_second <= board.modes[0].gigabytes_per_second for mode in board.modes
    )


@pytest.mark.parametrize(
    ("variant", "published_ms"), [("td4-psp18", 85), ("td2-psp50", 178), ("td4-bise18", 21)]
)
def test_published_times_are_at_the_upper_share(variant: str, published_ms: float) -> None:
    """On a Titan Xp: 3840 cores at 1582 MHz, in float32."""
    peak = 3840 * 1582e6
    share = count_operations(variant).multiply_adds / peak / (published_ms / 1e3)
    assert share == pytest.approx(PEAK_SHARES[1], rel=0.1)
