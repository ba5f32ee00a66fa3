"""Which refused frames are told, and how."""

from __future__ import annotations

from tdnet_offline.frames import RefusedFrame
from tdnet_offline.refusals import MAX_REPORTED, Refusals


def test_the_first_ones_are_told_and_all_are_counted() -> None:
    lines: list[str] = []
    refusals = Refusals(lines.append)
    for number in range(3 * MAX_REPORTED):
        refusals.add(RefusedFrame(f"frame\x1b {number}", "cut\noff"))
    assert refusals.count == 3 * MAX_REPORTED
    assert lines[0] == r"tdnet: refused frame\x1b 0: cut off"
    assert len(lines) == MAX_REPORTED + 1
    assert "only counted" in lines[-1]
