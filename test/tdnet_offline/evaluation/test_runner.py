"""Evaluations of videos whose right scores are known."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from support.evaluations import without_times
from support.media import drive, folder_of, written
from support.videos import MemoryVideo, dataset_of

from tdnet import ClassMap, SegmenterSettings, StreamingSegmenter
from tdnet.continuity import ResetReason
from tdnet.errors import InputError
from tdnet_offline.datasets import LabelledVideo, open_dataset
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import FrameRecord
from tdnet_offline.evaluation.runner import Mode, evaluate
from tdnet_offline.evaluation.scorer import Scorer
from tdnet_offline.evaluation.sources import pool
from tdnet_offline.frames import Frame, RefusedFrame

CLASSES = 19
SECOND = 10**9


def labels_of(segmenter: StreamingSegmenter, images: list[np.ndarray]) -> list[np.ndarray]:
    """What the network gives for images that follow each other."""
    stream = segmenter.open_stream()
    return [stream.step(image).labels for image in images]


def noisy(labels: np.ndarray, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    wrong = draw.random(labels.shape) < 0.3
    return np.where(wrong, draw.integers(0, CLASSES, labels.shape), labels).astype(np.uint8)


def test_labels_are_those_of_predict(
    segmenter: StreamingSegmenter, predict: Callable[..., int], tmp_path: Path
) -> None:
    images = drive(9)
    assert (
        predict(folder_of(tmp_path / "images", images), "--device", "cpu", "--runtime", "torch")
        == 0
    )
    predicted = written(tmp_path / "out")
    truth = {index: predicted[str(index)] for index in range(9)}
    assert len(np.unique(np.stack(list(truth.values())))) > 2

    evaluation = evaluate(dataset_of(MemoryVideo("v", images, truth)), segmenter)
    # Not one pixel is another.
    assert [frame.pixel_accuracy for frame in evaluation.frames] == [1.0] * 9
    assert [frame.path for frame in evaluation.frames] == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert [frame.memory_frames for frame in evaluation.frames] == [0, 1, 2, *[3] * 6]
    assert metrics.mean_iou(metrics.total_confusion(evaluation)) == 1.0
    assert metrics.mean_boundary_f(evaluation.boundary) == 1.0


def test_counts_are_those_of_every_pixel(segmenter: StreamingSegmenter) -> None:
    images = drive(6)
    given = labels_of(segmenter, images)
    truth = {index: noisy(given[index], index) for index in (1, 4, 5)}
    truth[4][:10] = 255

    evaluation = evaluate(dataset_of(MemoryVideo("v", images, truth)), segmenter)
    assert set(evaluation.confusions) == {(1, 1), (0, 3), (1, 3)}
    for key, index in {(1, 1): 1, (0, 3): 4, (1, 3): 5}.items():
        expected = np.zeros((CLASSES, CLASSES + 1), int)
        for true, label in zip(truth[index].ravel(), given[index].ravel(), strict=True):
            if true != 255:
                expected[true, label] += 1
        np.testing.assert_array_equal(evaluation.confusions[key], expected)
        frame = evaluation.frames[index]
        assert frame.pixel_accuracy == pytest.approx(np.trace(expected) / expected.sum())
        assert frame.mean_iou == pytest.approx(metrics.mean_iou(expected))
    assert [frame.pixel_accuracy is None for frame in evaluation.frames] == [
        index not in truth for index in range(6)
    ]
    by_path = metrics.confusion_by_path(evaluation)
    assert by_path[1].sum() == truth[1].size + truth[5].size
    assert metrics.confusion_by_memory(evaluation)[3].sum() == truth[4].size * 38 // 48 + (
        truth[5].size
    )
    # Frames 4 and 5 are the only neighbours with labels.
    assert evaluation.truth_consistency is not None
    assert 0 < evaluation.truth_consistency.sum() <= truth[5].size
    assert [worst.record.index for worst in evaluation.worst] == [
        min(truth, key=lambda index: evaluation.frames[index].mean_iou or 0.0)
    ]


def test_without_labels_consistency_and_times_remain(segmenter: StreamingSegmenter) -> None:
    images = [drive(1)[0]] * 5
    evaluation = evaluate(dataset_of(MemoryVideo("v", images)), segmenter)
    assert evaluation.confusions == {}
    assert evaluation.truth_consistency is None
    assert evaluation.worst == ()
    assert np.isnan(metrics.mean_iou(metrics.total_confusion(evaluation)))
    given = labels_of(segmenter, images)
    # Nothing moves, so that consistency is what the labels do.
    shares = [float((a == b).mean()) for a, b in pairwise(given)]
    assert [frame.consistency for frame in evaluation.frames] == [None, *shares]
    assert metrics.agreement(evaluation.consistency) == pytest.approx(np.mean(shares))
    for frame in evaluation.frames:
        assert list(frame.stages_ms)[-1] == "total"
        parts = [value for name, value in frame.stages_ms.items() if name != "total"]
        assert min(parts) >= 0
        assert frame.stages_ms["total"] == pytest.approx(sum(parts), abs=0.1)
    assert metrics.stage_percentiles(evaluation)["total"].count == 5
    assert metrics.age_percentiles(evaluation) is None


def test_consistency_of_the_truth_is_that_of_the_true_labels(
    segmenter: StreamingSegmenter,
) -> None:
    draw = np.random.default_rng(2)
    true = [draw.integers(0, 2, (48, 64)).astype(np.uint8) for _ in range(3)]
    truth = {1: true[0], 2: true[1], 4: true[2]}  # the last one has no neighbour
    video = MemoryVideo("v", [drive(1)[0]] * 5, truth)
    counts = evaluate(dataset_of(video), segmenter).truth_consistency
    assert counts is not None
    assert counts.sum() == true[0].size
    assert metrics.agreement(counts) == (true[0] == true[1]).mean()


def test_the_street_is_scored_by_its_exact_flow(segmenter: StreamingSegmenter) -> None:
    found = evaluate(open_dataset("street:5@96x160,frames=2"), segmenter)
    assert found.setting.flow == "exact"
    assert found.truth_consistency is not None
    assert found.truth_consistency.sum() > 0.9 * 96 * 160
    assert metrics.agreement(found.truth_consistency) > 0.98


def test_without_consistency_no_flow_is_computed_and_all_else_stays(
    segmenter: StreamingSegmenter,
) -> None:
    def refuse(index: int, other: int) -> np.ndarray:
        raise AssertionError(f"flow of frames {index} and {other}")

    source = open_dataset("street:5@96x160,frames=6")
    whole = evaluate(source, segmenter, withhold=True, worst=0)
    source.videos[0].exact_flow = refuse
    found = evaluate(source, segmenter, withhold=True, worst=0, consistency=False)
    assert found.consistency.sum() == 0
    assert found.truth_consistency is None
    assert found.setting.flow == ""
    kept = replace(
        whole,
        setting=replace(whole.setting, flow=""),
        consistency=np.zeros_like(whole.consistency),
        truth_consistency=None,
        frames=tuple(replace(frame, consistency=None) for frame in whole.frames),
    )
    assert without_times(found) == without_times(kept)


def scored(images: list[np.ndarray | None], labels: list[np.ndarray]) -> Scorer:
    scorer = Scorer(ClassMap.load("cityscapes"))
    scorer.start("v")
    truth = np.zeros_like(labels[0])
    for index, (image, given) in enumerate(zip(images, labels, strict=True)):
        record = FrameRecord(
            video="v",
            index=index,
            name=str(index),
            stamp_ns=index,
            path=0,
            memory_frames=0,
            reset_reason=None,
            stages_ms={"total": 1.0},
        )
        scorer.add(record, given, truth, image)
    return scorer


def test_labels_that_come_and_go_are_not_consistent(segmenter: StreamingSegmenter) -> None:
    image = drive(1)[0]
    steady = np.zeros(image.shape[:2], np.uint8)
    gone = steady.copy()
    gone[:, 16:] = 255  # three quarters
    setting = evaluate(dataset_of(MemoryVideo("v", [image])), segmenter).setting
    found = scored([image] * 3, [steady, gone, steady]).evaluation(setting, 0.0)
    assert metrics.agreement(found.consistency) == 0.25
    assert [frame.consistency for frame in found.frames] == [None, 0.25, 0.25]


def test_labels_of_a_frame_that_cannot_be_decoded_are_scored(
    segmenter: StreamingSegmenter,
) -> None:
    image = drive(1)[0]
    labels = np.zeros(image.shape[:2], np.uint8)
    setting = evaluate(dataset_of(MemoryVideo("v", [image])), segmenter).setting
    found = scored([image, None, image], [labels] * 3).evaluation(setting, 0.0)
    assert metrics.total_confusion(found).sum() == 3 * labels.size
    assert [frame.name for frame in found.frames] == ["0", "1", "2"]
    assert [frame.mean_iou for frame in found.frames] == [1.0] * 3
    assert not found.consistency.any()


def test_memory_is_emptied_as_in_the_node(segmenter: StreamingSegmenter) -> None:
    stamps = [round(s * SECOND) for s in (0.0, 0.1, 0.2, 0.1, 0.2, 5.0, 5.1)]
    video = MemoryVideo("v", drive(7), stamps_ns=stamps)
    frames = evaluate(dataset_of(video, MemoryVideo("w", drive(2))), segmenter).frames
    assert {i: f.reset_reason for i, f in enumerate(frames) if f.reset_reason} == {
        0: ResetReason.START.value,
        3: ResetReason.STAMP_BACKWARDS.value,
        5: ResetReason.GAP.value,
        7: ResetReason.START.value,
    }
    assert [f.memory_frames for f in frames] == [0, 1, 2, 0, 1, 0, 1, 0, 1]
    assert [f.consistency is None for f in frames] == [f.memory_frames == 0 for f in frames]

    patient = evaluate(dataset_of(video), segmenter, max_gap=10.0).frames
    assert [f.memory_frames for f in patient] == [0, 1, 2, 0, 1, 2, 3]


def test_a_frame_that_cannot_be_read_is_counted(segmenter: StreamingSegmenter) -> None:
    first, second, third = drive(3)
    evaluation = evaluate(dataset_of(MemoryVideo("v", [first, None, second, third])), segmenter)
    assert evaluation.refused == {"v": 1}
    assert [frame.index for frame in evaluation.frames] == [0, 2, 3]
    assert [frame.memory_frames for frame in evaluation.frames] == [0, 1, 2]


def test_who_is_refused_and_why_is_told(segmenter: StreamingSegmenter) -> None:
    first, second = drive(2)
    video = MemoryVideo("v", [first, None, second], stamps_ns=[0, SECOND // 20, SECOND // 10])
    video.damage = "the bag is damaged"
    modes: tuple[Mode, ...] = ("every-frame", "paced")
    for mode in modes:
        told: list[RefusedFrame] = []
        evaluation = evaluate(dataset_of(video), segmenter, mode=mode, on_refused=told.append)
        assert told == [
            RefusedFrame("v frame 1", "v/1.png: cut off"),
            RefusedFrame("the end of v", "the bag is damaged"),
        ]
        assert evaluation.refused == {"v": 2}


class FullDisk(MemoryVideo):
    """A video that keeps its frames where there is no room."""

    def frame(self, index: int) -> Frame:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_no_frame_that_cannot_be_read(segmenter: StreamingSegmenter) -> None:
    with pytest.raises(OSError, match="No space"):
        evaluate(dataset_of(FullDisk("v", drive(2))), segmenter)


def test_stagger_leaves_out_no_labels(segmenter: StreamingSegmenter) -> None:
    images = drive(4)
    truth = {index: np.zeros(images[0].shape[:2], np.uint8) for index in (1, 3)}
    videos = [MemoryVideo(f"v{number}", images, truth) for number in range(4)]
    frames = evaluate(dataset_of(*videos), segmenter, stagger=True).frames
    assert sum(frame.pixel_accuracy is not None for frame in frames) == 8
    firsts = [next(f.index for f in frames if f.video == video.name) for video in videos]
    assert firsts == [0, 1, 1, 1]


def test_staggered_videos_meet_every_path(segmenter: StreamingSegmenter) -> None:
    images = drive(6)
    truth = {5: np.zeros(images[0].shape[:2], np.uint8)}
    videos = [MemoryVideo(f"v{number}", images, truth) for number in range(4)]
    plain = evaluate(dataset_of(*videos), segmenter)
    assert set(metrics.confusion_by_path(plain)) == {1}
    staggered = evaluate(dataset_of(*videos), segmenter, stagger=True)
    assert set(metrics.confusion_by_path(staggered)) == {0, 1, 2, 3}
    assert [f.index for f in staggered.frames if f.video == "v3"] == [3, 4, 5]


def test_several_data_sets_count_together(segmenter: StreamingSegmenter) -> None:
    images = drive(3)
    truth = {2: noisy(labels_of(segmenter, images)[2], 1)}
    one = dataset_of(MemoryVideo("v", images, truth))
    other = dataset_of(MemoryVideo("w", images[::-1], truth), root="there")
    together = evaluate(pool([one, other]), segmenter)
    parts = [evaluate(dataset, segmenter) for dataset in (one, other)]
    np.testing.assert_array_equal(
        metrics.total_confusion(together), sum(metrics.total_confusion(part) for part in parts)
    )
    assert [frame.video for frame in together.frames] == ["v"] * 3 + ["w"] * 3
    assert together.setting.source == "memory:here, memory:there"


def test_videos_of_one_name_are_told_apart() -> None:
    video = MemoryVideo("v", drive(1))
    one, other = dataset_of(video), dataset_of(video, root="there")
    names = [video.name for video in pool([one, other]).videos]
    assert names == ["memory:here/v", "memory:there/v"]
    with pytest.raises(InputError, match="v is given twice, by memory:here and by memory:here"):
        pool([one, one])
    nowhere = [replace(dataset_of(video, root=""), name=name) for name in ("mine", "other")]
    assert [video.name for video in pool(nowhere).videos] == ["mine/v", "other/v"]


def test_a_video_under_another_name_keeps_all_else(tmp_path: Path) -> None:
    folder_of(tmp_path / "frames" / "v", drive(3))
    dataset = open_dataset(f"folder:{tmp_path}", class_map=ClassMap.load("cityscapes"))
    (video,) = dataset.videos
    video.breaks, video.unused, video.damage = [2], ["a label"], "cut off"
    video.also_expected = [tmp_path / "missing.png"]
    renamed, _ = pool([dataset, dataset_of(MemoryVideo("v", drive(1)))]).videos
    fields = set(LabelledVideo.__annotations__) - {"name"}
    assert {f: getattr(renamed, f) for f in fields} == {f: getattr(video, f) for f in fields}
    assert [path.parent for path in renamed.files(1)] == [tmp_path / "frames" / "v"]
    assert renamed.frames_before(2) == 0


def test_a_video_is_not_counted_twice(tmp_path: Path) -> None:
    folder_of(tmp_path / "one" / "frames" / "v", drive(1))
    class_map = ClassMap.load("cityscapes")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    roots = [tmp_path / "one", f"{tmp_path}/one/", tmp_path / "two"]
    folders = [open_dataset(f"folder:{root}", class_map=class_map) for root in roots]
    streets = [open_dataset(f"street:{seeds}@32x64,frames=1") for seeds in ("1-2", "2-3")]
    for pair in ([folders[0], folders[1]], [folders[0], folders[2]], streets):
        with pytest.raises(InputError, match="is given twice, by .* and by .*once"):
            pool(pair)
    others = [streets[0], open_dataset("street:3"), open_dataset("street:2@33x64")]
    assert len(pool(others).videos) == 4


def test_other_classes_are_refused(segmenter: StreamingSegmenter) -> None:
    with pytest.raises(InputError, match="label 0 is 'road' in class map .* but .*--class-map"):
        evaluate(dataset_of(MemoryVideo("v", drive(1)), class_map="camvid"), segmenter)


def test_the_setting_says_what_was_evaluated(segmenter: StreamingSegmenter, weights: Path) -> None:
    video = MemoryVideo("v", drive(1))
    setting = evaluate(dataset_of(video), segmenter, weights=str(weights)).setting
    assert (setting.source, setting.split, setting.mode) == ("memory:here", "val", "every-frame")
    assert (setting.variant, setting.weights) == ("td4-psp18-nano", "small.safetensors")
    assert len(setting.weights_sha256) == 64
    assert (setting.input_size, setting.device, setting.processes) == ((65, 129), "cpu", 1)
    assert setting.class_names[13] == "car"
    assert setting.class_colors[13] == (0, 0, 142)
    assert set(setting.versions) == {"python", "torch", "tdnet"}


@pytest.mark.cuda
@pytest.mark.parametrize("mode", ["every-frame", "paced"])
def test_on_a_gpu(weights: Path, mode: Mode) -> None:
    segmenter = SegmenterSettings(weights=str(weights), device="cuda", precision="float32").build()
    images = drive(6)
    truth = dict(enumerate(labels_of(segmenter, images)))
    stamps = [round(index * 0.3 * SECOND) for index in range(6)]
    evaluation = evaluate(
        dataset_of(MemoryVideo("v", images, truth, stamps)), segmenter, mode=mode
    )
    assert [frame.pixel_accuracy for frame in evaluation.frames] == [1.0] * 6
    assert evaluation.setting.device == "cuda"
    assert all(frame.stages_ms["network"] > 0 for frame in evaluation.frames)
