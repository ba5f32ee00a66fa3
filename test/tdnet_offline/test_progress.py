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


def test_the_bar_is_not_written_to_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with show_progress("reading", 2) as progress:
        progress.advance()
        progress.refuse(RefusedFrame("frame 1", "cut off"))
    assert capsys.readouterr().err.strip() == "tdnet: refused frame 1: cut off"
