"""The worst frames: which ones are kept, and as what."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet import ClassMap
from tdnet_offline.evaluation.result import FrameRecord
from tdnet_offline.evaluation.worst_frames import (
    PICTURE_SIDE,
    SPACING,
    WorstFrames,
    worst_of,
    write_worst_frames,
)

MAP = ClassMap.load("cityscapes")


def record(video: str, index: int, iou: float) -> FrameRecord:
    return FrameRecord(
        video=video,
        index=index,
        name=f"{video}_{index}",
        stamp_ns=None,
        path=0,
        memory_frames=0,
        reset_reason=None,
        mean_iou=iou,
        stages_ms={},
    )


def kept(records: list[FrameRecord], count: int) -> list[tuple[str, int, float | None]]:
    frames = WorstFrames(count, MAP)
    small = np.zeros((2, 2, 3), np.uint8)
    for entry in records:
        frames.offer(entry, small, small[..., 0], small[..., 0])
    return [(f.record.video, f.record.index, f.record.mean_iou) for f in frames.frames]


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(0, 9)),
        unique_by=lambda entry: entry[:2],
    ),
    st.integers(0, 4),
    st.randoms(use_true_random=False),
)
def test_the_lowest_of_each_neighbourhood_in_any_order(
    entries: list[tuple[str, int, int]], count: int, chance: random.Random
) -> None:
    records = [record(video, index, iou / 10) for video, index, iou in entries]
    lowest: dict[tuple[str, int], tuple[float, str, int]] = {}
    for video, index, iou in entries:
        key, value = (video, index // SPACING), (iou / 10, video, index)
        lowest[key] = min(lowest.get(key, value), value)
    expected = [(video, index, iou) for iou, video, index in sorted(lowest.values())][:count]
    assert kept(records, count) == expected
    chance.shuffle(records)
    assert kept(records, count) == expected


def test_parts_give_the_same_as_the_whole() -> None:
    draw = np.random.default_rng(1)
    records = [record(v, i, float(draw.random())) for v in "abcd" for i in range(40)]
    parts = [WorstFrames(3, MAP), WorstFrames(3, MAP)]
    small = np.zeros((2, 2, 3), np.uint8)
    for entry in records:
        parts["abcd".index(entry.video) % 2].offer(entry, small, small[..., 0], small[..., 0])
    merged = worst_of([*parts[1].frames, *parts[0].frames], 3)
    assert [(f.record.video, f.record.index, f.record.mean_iou) for f in merged] == kept(
        records, 3
    )


@pytest.mark.parametrize("size", [(60, 80), (500, 2 * PICTURE_SIDE)], ids=["small", "large"])
def test_pictures_show_image_truth_and_prediction(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), (200, 30, 60), np.uint8)
    truth, labels = np.full(size, 11, np.uint8), np.full(size, 255, np.uint8)
    truth[:, : size[1] // 2] = 13
    frames = WorstFrames(1, MAP)
    frames.offer(record("v", 0, 0.1), image, truth, labels)
    (frame,) = frames.frames
    shown = [
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        for data in (frame.image, frame.truth, frame.prediction)
    ]
    assert len({picture.shape for picture in shown}) == 1
    assert max(shown[0].shape) == min(max(size), PICTURE_SIDE)
    assert np.abs(shown[0].astype(int) - (200, 30, 60)).max() < 8  # JPEG
    colors = {tuple(color) for color in np.unique(shown[1].reshape(-1, 3), axis=0).tolist()}
    assert colors == {MAP.class_by_id(11).color, MAP.class_by_id(13).color}
    assert not shown[2].any()


def test_files_are_those_of_the_last_run(tmp_path: Path) -> None:
    def frames(count: int) -> WorstFrames:
        found = WorstFrames(count, MAP)
        for index in range(count):
            picture = np.full((4, 4, 3), index, np.uint8)
            found.offer(
                record(f"v{index}", 0, index / 10), picture, picture[..., 0], picture[..., 0]
            )
        return found

    write_worst_frames(frames(3).frames, tmp_path / "worst")
    assert len(list((tmp_path / "worst").iterdir())) == 9
    write_worst_frames(frames(1).frames, tmp_path / "worst")
    names = sorted(path.name for path in (tmp_path / "worst").iterdir())
    assert names == ["1_image.jpg", "1_prediction.png", "1_truth.png"]
    assert (tmp_path / "worst" / "1_image.jpg").read_bytes() == frames(1).frames[0].image
