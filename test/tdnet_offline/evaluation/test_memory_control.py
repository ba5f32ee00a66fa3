"""Controls of an evaluation: memory withheld or foreign, frames damaged."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from support.evaluations import without_times
from support.media import drive
from support.videos import MemoryVideo, dataset_of

from tdnet import ClassMap, StreamingSegmenter, create_model
from tdnet.errors import InputError
from tdnet.network.base import StreamingNetwork
from tdnet.variants import get_variant
from tdnet_offline.damage import Damage
from tdnet_offline.evaluation import metrics
from tdnet_offline.evaluation.result import Evaluation
from tdnet_offline.evaluation.runner import evaluate
from tdnet_offline.evaluation.video_frames import VideoFrame, VideoFrames

SECOND = 10**9
SIZE = (65, 129)
CITYSCAPES = ClassMap.load("cityscapes")

Images = Sequence[np.ndarray]


@pytest.fixture(scope="module")
def model() -> StreamingNetwork:
    """A network of random weights whose memory changes about half of the labels."""
    torch.manual_seed(7)
    return create_model("td4-psp18-nano", input_size=SIZE)


@pytest.fixture(scope="module")
def segmenter(model: StreamingNetwork) -> StreamingSegmenter:
    return StreamingSegmenter(model, class_map=CITYSCAPES, device="cpu")


@pytest.fixture(scope="module")
def forgetful(model: StreamingNetwork) -> StreamingSegmenter:
    """The same weights in a network that has no memory."""
    variant = get_variant("td4-psp18-nano").limited_memory(0)
    other = create_model(variant, input_size=SIZE)
    weights = copy.deepcopy(model.state_dict())
    other.load_state_dict({name: weights[name] for name in other.state_dict()})
    return StreamingSegmenter(other, class_map=CITYSCAPES, device="cpu")


def labels_of(segmenter: StreamingSegmenter, images: Images) -> list[np.ndarray]:
    stream = segmenter.open_stream()
    return [stream.step(image).labels for image in images]


def accuracies(evaluation: Evaluation, video: str) -> list[float | None]:
    return [f.pixel_accuracy for f in evaluation.frames if f.video == video]


def backwards(images: Images) -> list[np.ndarray]:
    return [np.ascontiguousarray(image[::-1]) for image in images[::-1]]


def test_none_equals_a_network_without_memory(
    segmenter: StreamingSegmenter, forgetful: StreamingSegmenter
) -> None:
    images = drive(9)
    alone = dict(enumerate(labels_of(forgetful, images)))
    dataset = dataset_of(MemoryVideo("v", images, alone))
    withheld = evaluate(dataset, segmenter, memory="none")
    assert accuracies(withheld, "v") == [1.0] * 9
    assert [frame.path for frame in withheld.frames] == [t % 4 for t in range(9)]
    assert [frame.memory_frames for frame in withheld.frames] == [0] * 9
    assert withheld.setting.memory == "none"
    # With its memory, the network gives other labels.
    full = evaluate(dataset, segmenter)
    assert max(share or 0.0 for share in accuracies(full, "v")[3:]) < 0.9


def test_foreign_is_full_where_the_other_video_is_the_same(segmenter: StreamingSegmenter) -> None:
    images = drive(9)
    truth = dict(enumerate(labels_of(segmenter, images)))
    videos = [MemoryVideo(name, images, truth) for name in ("a", "b")]
    foreign = evaluate(dataset_of(*videos), segmenter, memory="foreign")
    assert accuracies(foreign, "a") == accuracies(foreign, "b") == [1.0] * 9
    assert [frame.path for frame in foreign.frames] == 2 * [t % 4 for t in range(9)]
    assert [frame.memory_frames for frame in foreign.frames] == 2 * [0, 1, 2, *[3] * 6]
    assert foreign.setting.memory == "foreign"


def test_foreign_is_the_memory_of_the_next_video(segmenter: StreamingSegmenter) -> None:
    images, others = drive(9), backwards(drive(9))
    # Frame t of a new stream behind the frames of the other video, from the same path on.
    expected = {}
    for t in (3, 7):
        *_, expected[t] = labels_of(segmenter, [*others[t - 3 : t], images[t]])
    empty = MemoryVideo("b", [])
    videos = [MemoryVideo("a", images, expected), empty, MemoryVideo("c", others)]
    foreign = evaluate(dataset_of(*videos), segmenter, memory="foreign")
    full = evaluate(dataset_of(*videos), segmenter)
    for t in (3, 7):
        assert (foreign.frames[t].pixel_accuracy or 0.0) > 0.999
        assert (full.frames[t].pixel_accuracy or 1.0) < 0.95


def test_foreign_fills_as_the_own_memory_does(segmenter: StreamingSegmenter) -> None:
    stamps = [round(s * SECOND) for s in (0.0, 0.1, 0.2, 5.0, 5.1, 5.2, 5.3, 5.4)]
    video = MemoryVideo("a", drive(8), stamps_ns=stamps)
    # The other one is shorter, of another size, and has a frame that cannot be read.
    larger = drive(3, 60, 80)
    other = MemoryVideo("b", [larger[0], None, larger[2]], stamps_ns=[0, 1, 2])
    evaluation = evaluate(dataset_of(video, other), segmenter, memory="foreign")
    fills = [frame.memory_frames for frame in evaluation.frames if frame.video == "a"]
    assert fills == [0, 1, 2, 0, 1, 2, 3, 3]
    assert evaluation.refused == {"a": 0, "b": 1}


@pytest.mark.parametrize(
    ("videos", "message"),
    [
        ([MemoryVideo("a", drive(4))], "needs another video, and the source has 1 with frames"),
        ([MemoryVideo("a", drive(4)), MemoryVideo("b", [])], "the source has 1 with frames"),
        ([MemoryVideo(name, drive(1)) for name in "abc"], "every video .* is a single frame"),
        (
            [MemoryVideo("a", drive(4)), MemoryVideo("b", [None, None])],
            "no frame of b can be read",
        ),
    ],
    ids=["one video", "an empty one", "single frames", "none readable"],
)
def test_a_source_without_another_memory_is_refused(
    segmenter: StreamingSegmenter, videos: list[MemoryVideo], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(dataset_of(*videos), segmenter, memory="foreign")


def test_a_network_without_memory_has_no_control() -> None:
    dataset = dataset_of(MemoryVideo("a", drive(2)), MemoryVideo("b", drive(2)))
    single = StreamingSegmenter(
        create_model("psp18-nano", input_size=SIZE), class_map=CITYSCAPES, device="cpu"
    )
    for memory in ("none", "foreign"):
        with pytest.raises(InputError, match="psp18-nano has no memory"):
            evaluate(dataset, single, memory=memory)  # type: ignore[arg-type]


def test_damage_is_done_before_the_network(segmenter: StreamingSegmenter) -> None:
    images = drive(6)
    damage = Damage(stripe=0.5)
    video = MemoryVideo("v", images)
    frames = [f for f in VideoFrames(video, range(6), damage=damage, seed=3)]
    assert all(isinstance(frame, VideoFrame) for frame in frames)
    damaged = [frame.image for frame in frames if isinstance(frame, VideoFrame)]
    truth = dict(enumerate(labels_of(segmenter, damaged)))
    evaluation = evaluate(
        dataset_of(MemoryVideo("v", images, truth)), segmenter, damage=damage, seed=3
    )
    assert accuracies(evaluation, "v") == [1.0] * 6
    assert (evaluation.setting.damage, evaluation.setting.seed) == ("stripe=0.5", 3)
    other = evaluate(dataset_of(MemoryVideo("v", images, truth)), segmenter, damage=damage, seed=4)
    assert accuracies(other, "v") != [1.0] * 6


def test_damage_depends_on_seed_video_and_index_alone() -> None:
    images = [drive(1)[0]] * 8

    def seen(name: str, indices: Sequence[int], seed: int = 1) -> dict[int, bytes]:
        video = MemoryVideo(name, images)
        frames = VideoFrames(video, indices, damage=Damage(stripe=0.2, noise=5), seed=seed)
        return {f.index: f.image.tobytes() for f in frames if isinstance(f, VideoFrame)}

    whole = seen("v", range(8))
    assert len(set(whole.values())) == 8
    some = seen("v", [2, 5])
    assert some == {index: whole[index] for index in (2, 5)}
    assert set(whole.values()).isdisjoint(seen("w", range(8)).values())
    assert set(whole.values()).isdisjoint(seen("v", range(8), seed=2).values())


def test_consistency_is_carried_by_the_flow_of_undamaged_images(
    segmenter: StreamingSegmenter,
) -> None:
    # Nothing moves, so that all pixels stay in sight, unless flow is computed of the noise.
    image = cv2.resize(drive(1)[0], (128, 96))
    evaluation = evaluate(
        dataset_of(MemoryVideo("v", [image] * 4)), segmenter, damage=Damage(noise=60)
    )
    assert evaluation.consistency.sum() == 3 * 96 * 128


def test_the_worst_frames_show_what_the_network_saw(segmenter: StreamingSegmenter) -> None:
    video = MemoryVideo("v", drive(1), {0: np.zeros((48, 64), np.uint8)})
    (worst,) = evaluate(dataset_of(video), segmenter, damage=Damage(stripe=0.9)).worst
    picture = cv2.imdecode(np.frombuffer(worst.image, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert (np.abs(picture.astype(int) - 128) < 12).all(axis=(1, 2)).sum() >= 38


@pytest.mark.parametrize("memory", ["full", "none", "foreign"])
def test_paced_labels_are_those_of_every_frame(segmenter: StreamingSegmenter, memory: Any) -> None:
    images = drive(6)
    stamps = [round(index * 0.3 * SECOND) for index in range(6)]
    truth = {i: drive(7)[i][..., 1] % 19 for i in range(6)}
    videos = [MemoryVideo("a", images, truth, stamps), MemoryVideo("b", images[::-1], {}, stamps)]
    runs = [
        evaluate(dataset_of(*videos), segmenter, mode=mode, memory=memory, damage=Damage(noise=20))
        for mode in ("every-frame", "paced")
    ]
    assert runs[1].dropped == {"a": 0, "b": 0}
    for key, counts in runs[0].confusions.items():
        np.testing.assert_array_equal(runs[1].confusions[key], counts)


def test_what_withholding_costs(
    segmenter: StreamingSegmenter, forgetful: StreamingSegmenter
) -> None:
    images = drive(9)
    with_memory, alone = labels_of(segmenter, images), labels_of(forgetful, images)
    # Labels for two frames with a full memory, and for one that has none.
    truth = {index: with_memory[index].copy() for index in (1, 4, 8)}
    for labels in truth.values():
        labels[:24] = 255
    dataset = dataset_of(MemoryVideo("v", images, truth))
    plain = evaluate(dataset, segmenter)
    assert plain.withheld_memory is None
    evaluation = evaluate(dataset, segmenter, withhold=True)
    assert without_times(replace(evaluation, withheld_memory=None)) == without_times(plain)

    found = evaluation.withheld_memory
    assert found is not None
    assert (found.frames, found.pixels) == (2, 2 * 48 * 64)
    assert found.changed == sum((with_memory[i] != alone[i]).sum() for i in (4, 8))
    assert 0.1 < metrics.changed_share(found) < 0.9
    assert found.used.sum() == found.withheld.sum() == 48 * 64
    assert metrics.mean_iou(found.used) == 1.0
    wrong = sum((truth[i][24:] != alone[i][24:]).sum() for i in (4, 8))
    assert metrics.pixel_accuracy(found.withheld) == pytest.approx(1 - wrong / (48 * 64))
    gain = 1.0 - metrics.mean_iou(found.withheld)
    assert metrics.memory_gain(found) == pytest.approx(gain)
    assert gain > 0.1


def test_nothing_is_withheld_where_there_is_no_full_memory(
    segmenter: StreamingSegmenter, forgetful: StreamingSegmenter
) -> None:
    truth = {index: np.zeros((48, 64), np.uint8) for index in range(3)}
    videos = dataset_of(*(MemoryVideo(name, drive(3), truth) for name in "ab"))
    assert evaluate(videos, segmenter, withhold=True).withheld_memory is None
    assert evaluate(videos, forgetful, withhold=True).withheld_memory is None
    longer = dataset_of(*(MemoryVideo(name, drive(5), {4: truth[0]}) for name in "ab"))
    assert evaluate(longer, segmenter, withhold=True).withheld_memory is not None
    assert evaluate(longer, segmenter, withhold=True, memory="none").withheld_memory is None
    assert evaluate(longer, segmenter, withhold=True, memory="foreign").withheld_memory is None


@pytest.mark.cuda
def test_controls_on_a_gpu(model: StreamingNetwork) -> None:
    images, others = drive(9), backwards(drive(9))
    truth = {index: np.zeros((48, 64), np.uint8) for index in (4, 7, 8)}
    dataset = dataset_of(MemoryVideo("a", images, truth), MemoryVideo("b", others, truth))
    for memory in ("full", "none", "foreign"):
        runs = []
        for device in ("cpu", "cuda"):
            segmenter = StreamingSegmenter(
                model, class_map=CITYSCAPES, device=device, precision="float32"
            )
            runs.append(evaluate(dataset, segmenter, memory=memory, withhold=True))
        one, other = (metrics.total_confusion(run) for run in runs)
        assert np.abs(one - other).sum() < 0.002 * one.sum()
        assert list(runs[0].confusions) == list(runs[1].confusions)
        withheld = [run.withheld_memory for run in runs]
        assert [part is None for part in withheld] == [memory != "full"] * 2
        if withheld[0] is not None and withheld[1] is not None:
            assert withheld[0].changed == pytest.approx(withheld[1].changed, rel=0.01)
