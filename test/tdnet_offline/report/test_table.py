"""Cells of several runs: which is best, and by how much the others differ."""

from __future__ import annotations

import math

from tdnet_offline.report.table import (
    BARE_TIME,
    NOTHING,
    NUMBER,
    SCORE,
    TIME,
    make_cells,
    number_of,
)


def test_the_higher_score_is_best() -> None:
    first, second, third = make_cells([0.5, 0.7312, 0.7], SCORE, drawn=True)
    assert [cell.text for cell in (first, second, third)] == ["50.0%", "73.1%", "70.0%"]
    assert [cell.best for cell in (first, second, third)] == [False, True, False]
    assert [cell.change for cell in (first, second, third)] == ["", "+23.1 points", "+20.0 points"]
    assert second.share == 0.7312


def test_the_shorter_time_is_best() -> None:
    cells = make_cells([123.4, 12.34], TIME)
    assert [cell.text for cell in cells] == ["123 ms", "12.3 ms"]
    assert [cell.best for cell in cells] == [False, True]
    assert cells[1].change == "\N{MINUS SIGN}111 ms"
    assert [cell.text for cell in make_cells([123.4, 12.34], BARE_TIME)] == ["123", "12.3"]


def test_counts_are_not_judged() -> None:
    cells = make_cells([1234, 12], NUMBER)
    assert [(cell.text, cell.best) for cell in cells] == [("1,234", False), ("12", False)]


def test_values_that_read_the_same_are_equally_good() -> None:
    assert not any(cell.best or cell.change for cell in make_cells([0.50001, 0.50002], SCORE))


def test_missing_values_are_neither_best_nor_drawn() -> None:
    cells = make_cells([math.nan, 0.4, None, 0.3], SCORE, drawn=True)
    assert [cell.text for cell in cells] == [NOTHING, "40.0%", NOTHING, "30.0%"]
    assert [cell.best for cell in cells] == [False, True, False, False]
    assert [cell.share for cell in cells] == [None, 0.4, None, 0.3]
    assert not any(cell.change for cell in cells)


def test_numbers_of_things() -> None:
    assert [number_of(n, "frame") for n in (0, 1, 2000)] == ["0 frames", "1 frame", "2,000 frames"]
