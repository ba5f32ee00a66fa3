"""The tables of docs/jetson.md; ``python -m tdnet_offline.benchmark.board_tables`` prints them."""

from __future__ import annotations

from collections.abc import Sequence

from tdnet_offline.benchmark.board_estimates import (
    Work,
    count_work,
    estimate_ms,
    fits,
    keeps_up,
)
from tdnet_offline.benchmark.boards import BOARDS, Board

SHORTEST_MS = 5.0
"""Shorter times say nothing: launches and what surrounds the network decide then."""
RATES = (10, 30)
"""Frames a second that docs/jetson.md looks for sizes for."""

TABLE_ROWS = (
    ("td4-psp18-nano", (257, 513)),
    ("td4-psp18-nano", (513, 1025)),
    ("td2-fa18", (384, 768)),
    ("td2-fa18", (512, 1024)),
    ("td2-fa18", (768, 1536)),
    ("td4-bise18", (385, 769)),
    ("td4-bise18", (513, 1025)),
    ("td4-bise18", (769, 1537)),
    ("td4-psp18", (385, 769)),
    ("td4-psp18", (513, 1025)),
    ("td4-psp18", (769, 1537)),
    ("td4-psp34", (385, 769)),
    ("td4-psp34", (769, 1537)),
    ("td2-psp50", (385, 769)),
    ("td2-psp50", (769, 1537)),
)
"""Networks and sizes of the table in docs/jetson.md."""


def time_table() -> str:
    """Gives the table of expected times as Markdown: networks and sizes by modules."""
    names = [board.name for board in BOARDS]
    rows = [time_row(variant, size) for variant, size in TABLE_ROWS]
    return _markdown([["network", "input", "GMAC", "GB moved", "GiB", *names], *rows])


def time_row(variant: str, size: tuple[int, int]) -> list[str]:
    """Gives a row of that table: what a frame needs, and milliseconds on each module.

    Raises:
        UnknownNameError: no variant has that name.
        InputError: no network takes that size.
    """
    work = count_work(variant, size)
    moved = work.traffic.product_bytes / 1e9, work.traffic.all_bytes / 1e9
    return [
        f"`{variant}`",
        "{} x {}".format(*size),
        f"{work.cost.multiply_adds / 1e9:.1f}",
        "{:.2f} to {:.2f}".format(*moved),
        f"{work.gibibytes:.2f}",
        *(_cell(work, board) for board in BOARDS),
    ]


def size_table() -> str:
    """Gives the table of the largest sizes that keep up as Markdown: networks by modules."""
    networks = dict.fromkeys(variant for variant, _ in TABLE_ROWS)
    rows = [size_row(variant, rate) for rate in RATES for variant in networks]
    return _markdown([["frames/s", "network", *(board.name for board in BOARDS)], *rows])


def size_row(variant: str, rate: int) -> list[str]:
    """Gives a row of that table: the largest size of `TABLE_ROWS` that fits and keeps up.

    By the longest times, in the fastest power mode.

    Args:
        variant: a network of `TABLE_ROWS`.
        rate: frames a second.
    """
    sizes = [size for name, size in TABLE_ROWS if name == variant]
    cells = []
    for board in BOARDS:
        good = [size for size in sizes if keeps_up(count_work(variant, size), board, rate)]
        cells.append("{} x {}".format(*max(good)) if good else "none")
    return [str(rate), f"`{variant}`", *cells]


def board_table() -> str:
    """Gives the table of modules and their power modes as Markdown."""
    rows = [["module", "memory", "W", "power mode", "dense float16 TFLOPS", "GB/s"]]
    for board in BOARDS:
        for mode in board.modes:
            about = ["", "", ""]
            if mode is board.fastest:
                about = [board.name, f"{board.gibibytes} GiB", board.watts]
            numbers = f"{mode.teraflops:.1f}", f"{mode.gigabytes_per_second:.0f}"
            rows.append([*about, mode.name, *numbers])
    return _markdown(rows)


def _cell(work: Work, board: Board) -> str:
    if not fits(work, board):
        return "no room"
    shortest, longest = estimate_ms(work, board.fastest)
    if longest < SHORTEST_MS:
        return f"< {SHORTEST_MS:.0f}"
    return f"{max(shortest, 1):.0f} to {longest:.0f}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    header, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join((header, "|---" * len(rows[0]) + "|", *body))


if __name__ == "__main__":
    print(board_table(), time_table(), size_table(), sep="\n\n")
