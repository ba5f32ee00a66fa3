"""Lines about refused frames."""

from __future__ import annotations

import pytest

from tdnet_offline.frames import RefusedFrame
from tdnet_offline.progress import MAX_REPORTED, show_progress


def test_the_first_refused_frames_are_named_and_all_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with show_progress("reading", None) as progress:
        for number in range(3 * MAX_REPORTED):
            progress.refuse(RefusedFrame(f"frame\x1b {number}", "[cut]\noff"))
            progress.advance()
    assert progress.refused == 3 * MAX_REPORTED
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == r"tdnet: refused frame\x1b 0: [cut] off"
    assert len(lines) == MAX_REPORTED + 1
    assert "only counted" in lines[-1]
