"""Videos played in real time: what is dropped, how old labels are, what an application sees."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.media import drive
from support.videos import MemoryVideo, dataset_of

from tdnet import ContinuityPolicy, OutputOptions, SegmenterSettings, StreamingSegmenter
from tdnet.errors import InputError
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.confusion import ClassAxis
from tdnet_offline.evaluation.paced_run import (
    MAX_TIMELESS,
    MAX_WAIT,
    PacedRun,
    run_paced,
)
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.evaluation.runner import evaluate
from tdnet_offline.evaluation.video_frames import VideoFrames
from tdnet_offline.frames import Frame, FrameSource, RefusedFrame

SECOND = 10**9


def play(
    segmenter: StreamingSegmenter, source: MemoryVideo | FrameSource, max_gap: float = 1.0
) -> PacedRun:
    if isinstance(source, MemoryVideo):
        source = VideoFrames(source, range(source.num_frames))
    return run_paced(source, segmenter, OutputOptions(), ContinuityPolicy(max_gap))


def video(count: int, interval: float, **options: dict[int, np.ndarray]) -> MemoryVideo:
    stamps = [SECOND + round(index * interval * SECOND) for index in range(count)]
    images = [drive(8)[index % 8] for index in range(count)]
    return MemoryVideo("v", images, **options, stamps_ns=stamps)


def test_the_newest_wins_where_frames_come_too_fast(segmenter: StreamingSegmenter) -> None:
    run = play(segmenter, video(300, interval=0.0005))
    assert list(run.due) == list(range(300))
    assert list(run.due.values()) == sorted(run.due.values())
    assert len(run.segmented) < 200
    assert list(run.segmented) == sorted(run.segmented)
    assert 299 in run.segmented  # nothing newer came
    done = [frame.done for frame in run.segmented.values()]
    assert done == sorted(done)
    for number, frame in run.segmented.items():
        assert frame.done >= run.due[number] + frame.times.total / 1e3


def test_frames_are_due_by_their_stamps(segmenter: StreamingSegmenter) -> None:
    source = video(4, interval=0.15)
    source.frame(0)
    began = time.monotonic()
    run = play(segmenter, source)
    assert time.monotonic() - began >= 0.45
    due = np.array(list(run.due.values()))
    # What the machine keeps the clock waiting comes on top.
    assert (due >= np.arange(4) * 0.15 - 1e-6).all()
    assert due[-1] == pytest.approx(0.45 + run.waited)


def test_gaps_are_cut_and_stamps_that_go_back_take_the_last_step(
    segmenter: StreamingSegmenter,
) -> None:
    stamps = [round(s * SECOND) for s in (50.0, 50.1, 20.0, 20.1, 1000.0)]
    run = play(segmenter, MemoryVideo("v", drive(5), stamps_ns=stamps))
    steps = np.diff(list(run.due.values()))
    expected = [0.1, 0.1, 0.1, MAX_WAIT]
    assert (steps >= np.array(expected) - 1e-6).all()
    assert steps.sum() == pytest.approx(sum(expected) + run.waited)


class SlowSource(FrameSource):
    """Ten frames, recorded a millisecond apart, each of which takes 20 ms to read."""

    description, num_frames, frame_rate = "slow", 10, None

    def __iter__(self) -> Iterator[Frame | RefusedFrame]:
        for index, image in enumerate(drive(10)):
            time.sleep(0.02)
            yield Frame(str(index), index * SECOND // 1000, "", image)


def test_the_clock_waits_for_a_source_that_is_slower_than_its_camera(
    segmenter: StreamingSegmenter,
) -> None:
    run = play(segmenter, SlowSource())
    assert run.waited >= 9 * 0.019
    assert run.due[9] == pytest.approx(0.009 + run.waited)
    assert len(run.due) == 10


def test_a_frame_without_stamp_has_no_pace(segmenter: StreamingSegmenter) -> None:
    with pytest.raises(InputError, match="v_0 has no stamp.*every frame"):
        play(segmenter, MemoryVideo("v", drive(2)))


@pytest.mark.parametrize("stamps", [[0, 0], [7] * 60, [9, 8, 7]], ids=["unset", "same", "back"])
def test_stamps_without_time_have_no_pace(
    segmenter: StreamingSegmenter, stamps: list[int]
) -> None:
    read: list[int] = []
    source = MemoryVideo("v", [drive(1)[0]] * len(stamps), stamps_ns=stamps)
    with pytest.raises(InputError, match="later stamp .* no pace to keep.*every frame"):
        run_paced(
            VideoFrames(source, range(source.num_frames)),
            segmenter,
            OutputOptions(),
            ContinuityPolicy(1.0),
            lambda: read.append(1),
        )
    assert len(read) <= MAX_TIMELESS  # not after hours of a long bag


def test_some_frames_may_have_the_same_stamp(segmenter: StreamingSegmenter) -> None:
    stamps = [*[0] * (MAX_TIMELESS - 1), *range(1, MAX_TIMELESS), *[MAX_TIMELESS] * 3]
    source = MemoryVideo("v", [drive(1)[0]] * len(stamps), stamps_ns=stamps)
    assert len(play(segmenter, source).due) == len(stamps)


def test_one_frame_needs_no_pace(segmenter: StreamingSegmenter) -> None:
    assert list(play(segmenter, MemoryVideo("v", drive(1), stamps_ns=[0])).segmented) == [0]


def test_what_the_network_refuses_ends_the_run(segmenter: StreamingSegmenter) -> None:
    wrong = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match="image"):
        play(segmenter, MemoryVideo("v", [wrong], stamps_ns=[0]))


def counted(records: Evaluation) -> list[int]:
    return [record.index for record in records.frames]


def test_labels_are_scored_against_the_frame_that_they_are_of(
    segmenter: StreamingSegmenter,
) -> None:
    draw = np.random.default_rng(3)
    truth = {i: draw.integers(0, 19, (48, 64)).astype(np.uint8) for i in range(60)}
    source = video(60, interval=0.002, labels=truth)
    evaluation = evaluate(dataset_of(source), segmenter, mode="paced")
    indices = counted(evaluation)
    assert evaluation.dropped["v"] == 60 - len(indices) > 0
    assert metrics.drop_share(evaluation) == evaluation.dropped["v"] / 60

    # The same frames in the same order, by hand.
    axis = ClassAxis(segmenter.class_map)
    stream = segmenter.open_stream()
    expected = np.zeros((19, 20), np.int64)
    for index in indices:
        expected += axis.confusion(truth[index], stream.step(source.frame(index).image).labels)
    np.testing.assert_array_equal(metrics.total_confusion(evaluation), expected)
    ages = metrics.age_percentiles(evaluation)
    assert ages is not None
    assert ages.p50 > 0


def test_an_application_sees_the_newest_labels_that_are_there(weights: Path) -> None:
    # Large enough that frames come faster than labels on most machines.
    segmenter = SegmenterSettings(
        weights=str(weights), device="cpu", input_size=(257, 513), runtime="torch"
    ).build()
    interval = 0.03
    draw = np.random.default_rng(4)
    truth = {i: draw.integers(0, 19, (48, 64)).astype(np.uint8) for i in range(3, 25)}
    source = video(25, interval, labels=truth)
    for _ in range(10):
        evaluation = evaluate(dataset_of(source), segmenter, mode="paced")
        if not evaluation.waited_seconds:  # else the moments are not known from outside
            break
    else:
        pytest.fail(f"the machine was never free for {interval} s")

    axis = ClassAxis(segmenter.class_map)
    stream = segmenter.open_stream()
    labels, there = {}, {}
    for record in evaluation.frames:
        assert record.age_ms is not None
        labels[record.index] = stream.step(source.frame(record.index).image).labels
        there[record.index] = record.index * interval + record.age_ms / 1e3
    expected = np.zeros((19, 20), np.int64)
    for index, true in truth.items():
        ready = [i for i, moment in there.items() if moment <= index * interval]
        if ready:
            expected += axis.confusion(true, labels[max(ready)])
    assert expected.sum() > 0
    assert evaluation.available is not None
    np.testing.assert_array_equal(evaluation.available, expected)


def test_the_size_may_change_on_the_way(segmenter: StreamingSegmenter) -> None:
    images = [*drive(1), *drive(1, 32, 40)]
    run = play(segmenter, MemoryVideo("v", images, stamps_ns=[0, SECOND // 2]))
    assert 1 in run.segmented


def test_refused_frames_are_neither_dropped_nor_due(segmenter: StreamingSegmenter) -> None:
    images = [*drive(2), None, *drive(1)]
    stamps = [round(index * 0.3 * SECOND) for index in range(4)]
    source = MemoryVideo("v", images, stamps_ns=stamps)
    evaluation = evaluate(dataset_of(source), segmenter, mode="paced")
    assert evaluation.refused == {"v": 1}
    assert len(evaluation.frames) + evaluation.dropped["v"] == 3
    assert 2 not in counted(evaluation)
