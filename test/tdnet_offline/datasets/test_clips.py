"""Clips: which frames they are of, at which size, and what is told when they cannot be made."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.utils.data import DataLoader

from tdnet import ClassMap
from tdnet.errors import InputError
from tdnet.frames.preprocess import resize_picture
from tdnet_offline.datasets import (
    Clip,
    ClipDataset,
    ClipMixture,
    Dataset,
    LabelledVideo,
    open_dataset,
)
from tdnet_offline.frames import Frame


class CountedVideo(LabelledVideo):
    """Frames and labels are filled with the number of the frame."""

    def __init__(
        self, frames: int, labelled: Sequence[int], size: tuple[int, int] = (6, 8), gap: int = -1
    ) -> None:
        self.name, self.num_frames, self.labelled = "counted", frames, labelled
        self.frame_rate = None
        self._size, self._gap = size, gap
        self.reads = 0

    def frame(self, index: int) -> Frame:
        self.reads += 1
        if index == self._gap:
            raise InputError(f"frames/{index}.png: does not exist")
        return Frame(str(index), None, "", np.full((*self._size, 3), index, np.uint8))

    def labels(self, index: int) -> npt.NDArray[np.uint8]:
        return np.full(self._size, index % 19, np.uint8)


def counted(*videos: CountedVideo) -> Dataset:
    return Dataset("counted", "ROOT", "train", ClassMap.load("cityscapes"), videos)


def numbers(clip: Clip) -> list[int]:
    assert all(len(frame.unique()) == 1 for frame in clip.frames)
    return [int(frame[0, 0, 0]) for frame in clip.frames]


def test_a_clip_ends_in_its_labelled_frame() -> None:
    clips = ClipDataset(counted(CountedVideo(9, [7])), 4, spacings=(1,))
    clip = clips[0, 5]
    assert numbers(clip) == [4, 5, 6, 7]
    assert clip.frames.shape == (4, 6, 8, 3)
    assert clip.frames.dtype == clip.labels.dtype == torch.uint8
    assert torch.all(clip.labels == 7)
    assert clip.labels.shape == (6, 8) == clips.size
    assert clip.name == "counted frame 7"


def test_each_gap_is_drawn_on_its_own() -> None:
    clips = ClipDataset(counted(CountedVideo(9, [7])), 4)
    drawn = [tuple(numbers(clips[0, draw])) for draw in range(400)]
    assert drawn == [tuple(numbers(clips[0, draw])) for draw in range(400)]
    counts = Counter(drawn)
    gaps = itertools.product((1, 2), repeat=3)
    assert set(counts) == {(7 - a - b - c, 7 - b - c, 7 - c, 7) for a, b, c in gaps}
    assert min(counts.values()) > 25


def test_only_gaps_that_fit_are_drawn_and_other_frames_left_out() -> None:
    clips = ClipDataset(counted(CountedVideo(9, range(9))), 4)
    assert len(clips) == 6
    for index, spare in ((0, 0), (1, 1), (2, 2), (3, 3), (5, 3)):
        drawn = {tuple(numbers(clips[index, draw])) for draw in range(200)}
        fitting = {gaps for gaps in itertools.product((1, 2), repeat=3) if sum(gaps) <= 3 + spare}
        assert {tuple(b - a for a, b in itertools.pairwise(clip)) for clip in drawn} == fitting
        assert all(clip[-1] == 3 + index for clip in drawn)


def test_stills_are_repeated_as_a_standing_camera_sees_them() -> None:
    videos = CountedVideo(1, [0]), CountedVideo(9, [1, 2, 7])
    clips = ClipDataset(counted(*videos), 4, repeat=True)
    assert len(clips) == 4
    drawn = [{tuple(numbers(clips[index, draw])) for draw in range(100)} for index in range(4)]
    assert drawn[0] == {(0, 0, 0, 0)}
    assert drawn[1] == {(0, 0, 0, 1)}
    assert drawn[2] == {(0, 0, 1, 2)}
    assert len(drawn[3]) == 8  # enough frames: as without repeating
    assert len(ClipDataset(counted(*videos), 4)) == 1


def test_a_repeated_still_is_read_once() -> None:
    video = CountedVideo(1, [0])
    clip = ClipDataset(counted(video), 4, repeat=True)[0, 0]
    assert numbers(clip) == [0] * 4
    assert video.reads == 1 + 1  # one more for the size of the data set


class TestMixture:
    def part(self, *labelled: int, **changes: object) -> ClipDataset:
        return ClipDataset(
            replace(counted(CountedVideo(60, labelled)), **changes),  # type: ignore[arg-type]
            1,
        )

    def test_clips_of_its_parts_follow_each_other(self) -> None:
        mixture = ClipMixture([self.part(4, 9), self.part(11), self.part(20, 21, 22)])
        assert (len(mixture), mixture.counts) == (6, [2, 1, 3])
        assert [numbers(mixture[index, 0]) for index in range(6)] == [
            [n] for n in (4, 9, 11, 20, 21, 22)
        ]

    def test_other_classes_are_refused(self) -> None:
        other = self.part(1, root="THERE", class_map=ClassMap.load("camvid"))
        with pytest.raises(InputError, match=r"counted:ROOT .*'cityscapes', counted:THERE .*'cam"):
            ClipMixture([self.part(1), self.part(2), other])

    def test_other_sizes_are_refused(self) -> None:
        large = ClipDataset(counted(CountedVideo(3, [1], size=(7, 8))), 1)
        with pytest.raises(InputError, match=r"6 x 8, .* 7 x 8 \(height x width\); give data.fr"):
            ClipMixture([self.part(1), large])


def test_single_frames() -> None:
    clips = ClipDataset(counted(CountedVideo(3, [0, 2])), 1)
    assert [numbers(clips[index, 0]) for index in range(len(clips))] == [[0], [2]]


def test_resizing_is_that_of_the_network_for_frames_and_nearest_for_labels() -> None:
    dataset = open_dataset("street:2@64x96,frames=2")
    clip = ClipDataset(dataset, 2, spacings=(1,), frame_size=(33, 49))[0, 0]
    video = dataset.videos[0]
    picture = resize_picture(torch.from_numpy(video.frame(1).image), (33, 49))[0]
    assert torch.equal(clip.frames[1].permute(2, 0, 1).float(), picture.round())
    rows = ((np.arange(33) + 0.5) * 64 / 33).astype(int)
    columns = ((np.arange(49) + 0.5) * 96 / 49).astype(int)
    np.testing.assert_array_equal(clip.labels, video.labels(1)[np.ix_(rows, columns)])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_give_the_same_batches(method: str) -> None:
    clips = ClipDataset(open_dataset("street:2-3@32x48,frames=3"), 2)
    order = [(index, 100 + index) for index in range(len(clips))]
    loader = DataLoader(
        clips, batch_size=2, sampler=order, num_workers=1, multiprocessing_context=method
    )
    batches = list(loader)
    assert all(isinstance(batch, Clip) for batch in batches)
    frames = torch.cat([batch.frames for batch in batches])
    labels = torch.cat([batch.labels for batch in batches])
    assert torch.equal(frames, torch.stack([clips[item].frames for item in order]))
    assert torch.equal(labels, torch.stack([clips[item].labels for item in order]))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_frame_missing_inside_a_clip_is_one_line(workers: int) -> None:
    clips = ClipDataset(counted(CountedVideo(9, [7], gap=5)), 4, spacings=(1,))
    with pytest.raises(InputError) as caught:
        list(DataLoader(clips, sampler=[(0, 0)], num_workers=workers))
    assert str(caught.value) == "frames/5.png: does not exist"


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    clips = ClipDataset(
        open_dataset(f"street:0@32x48,cache={tmp_path}/cache"), 2, frame_size=(33, 65)
    )
    with pytest.raises(InputError) as caught:
        list(DataLoader(clips, sampler=[(0, 0)], num_workers=1))
    assert re.fullmatch(r"/.*cache/.*: Not a directory", str(caught.value))


def test_mixed_sizes_need_a_frame_size() -> None:
    videos = [CountedVideo(4, [3]), CountedVideo(4, [3], size=(6, 9))]
    clips = ClipDataset(counted(*videos), 2)
    assert clips[0, 0].labels.shape == (6, 8)
    with pytest.raises(InputError, match=r"counted frame \d is 6 x 9, the first one 6 x 8 .*give"):
        clips[1, 0]
    resized = ClipDataset(counted(*videos), 2, frame_size=(12, 16))
    assert [resized[i, 0].labels.shape for i in (0, 1)] == [(12, 16)] * 2


@pytest.mark.parametrize(
    ("video", "problem"),
    [
        (CountedVideo(4, []), "counted:ROOT train: no labelled frame in 1 videos"),
        (CountedVideo(4, [1, 2]), "none of the 2 labelled frames has the 3 frames before it"),
    ],
)
def test_nothing_to_learn_from(video: CountedVideo, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        ClipDataset(counted(video), 4)


def test_ids_must_be_the_channels_of_the_network(tmp_path: Path) -> None:
    text = "name: few\nnetwork: 3\nclasses:\n"
    text += "  - {id: 0, name: a, color: [1, 2, 3], from: [0, 1]}\n"
    text += "  - {id: 1, name: b, color: [4, 5, 6], from: [2]}\n"
    gathered = replace(
        counted(CountedVideo(4, [3])), class_map=ClassMap.from_yaml(text, "few.yaml")
    )
    with pytest.raises(InputError, match="class map few: class 'a' has id 0 from channels"):
        ClipDataset(gathered, 1)


@pytest.mark.parametrize(("length", "spacings"), [(0, (1,)), (2, ()), (2, (0, 1))])
def test_impossible_clips(length: int, spacings: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="allowed are 1 frame or more, and distances of 1"):
        ClipDataset(counted(CountedVideo(4, [3])), length, spacings)
