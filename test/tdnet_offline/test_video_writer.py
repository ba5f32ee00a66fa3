from __future__ import annotations

from pathlib import Path

import av
import pytest
from support.media import SECOND, drive

from tdnet_offline.writers.video import VideoWriter


def shown_at(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([None] * 4, [0, 0.1, 0.2, 0.3]),
        ([0, 50, 250, 300], [0, 0.05, 0.25, 0.3]),
        ([500, 600, 100, 200], [0, 0.1, 0.2, 0.3]),
        ([0, 100, 90_000, 90_100], [0, 0.1, 2.1, 2.2]),
    ],
    ids=["none", "uneven", "backwards", "long gap"],
)
def test_frames_are_shown_when_they_were_taken(
    stamps: list[int | None], expected: list[float], tmp_path: Path
) -> None:
    path = tmp_path / "a.mp4"
    with VideoWriter(path, 10) as video:
        for image, stamp in zip(drive(4), stamps, strict=True):
            video.write(image, None if stamp is None else stamp * SECOND // 1000)
    assert shown_at(path) == pytest.approx(expected, abs=1e-3)
