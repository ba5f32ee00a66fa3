"""CamVid: the official folders, colours and splits, and frames extracted from the videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.dataset_trees import ROAD, add_camvid, camvid_stem
from support.labelled import picture, write_labels
from support.media import write_image

from tdnet import ClassMap
from tdnet.errors import InputError
from tdnet_offline.datasets import ClipDataset, open_dataset
from tdnet_offline.datasets.camvid import check_frame_numbers, read_colours, split_of

# The colours of the data set's label_colors.txt, gathered as SegNet did it: the 11 classes that
# all results on CamVid are about.
TABLE = """\
64 128 64 Animal pedestrian
192 0 128 Archway building
0 128 192 Bicyclist bicyclist
0 128 64 Bridge building
128 0 0 Building building
64 0 128 Car car
64 0 192 CartLuggagePram pedestrian
192 128 64 Child pedestrian
192 192 128 Column_Pole pole
64 64 128 Fence fence
128 0 192 LaneMkgsDriv road
192 0 64 LaneMkgsNonDriv road
128 128 64 Misc_Text sign symbol
192 0 192 MotorcycleScooter bicyclist
128 64 64 OtherMoving car
64 192 128 ParkingBlock sidewalk
64 64 0 Pedestrian pedestrian
128 64 128 Road road
128 128 192 RoadShoulder sidewalk
0 0 192 Sidewalk sidewalk
192 128 128 SignSymbol sign symbol
128 128 128 Sky sky
64 128 192 SUVPickupTruck car
0 0 64 TrafficCone pole
0 64 64 TrafficLight sign symbol
192 64 128 Train car
128 128 0 Tree tree
192 128 192 Truck_Bus car
64 0 64 Tunnel building
192 192 0 VegetationMisc tree
0 0 0 Void ignored
64 192 0 Wall building
"""


def test_the_32_colours_become_11_classes(tmp_path: Path) -> None:
    rows = [line.split(maxsplit=4) for line in TABLE.splitlines()]
    colours = np.array([[[int(value) for value in row[:3]] for row in rows]], np.uint8)
    write_labels(tmp_path / "labels.png", colours)
    class_map = ClassMap.load("camvid")
    expected = [255 if row[4] == "ignored" else class_map.class_by_name(row[4]).id for row in rows]
    assert len(rows) == 32
    assert read_colours(tmp_path / "labels.png").tolist() == [expected]


def test_few_stray_colours_are_ignored_and_many_are_told(tmp_path: Path) -> None:
    colours = np.full((20, 20, 3), ROAD, np.uint8)
    colours[0, :4] = (128, 64, 127)
    write_labels(tmp_path / "labels.png", colours)
    labels = read_colours(tmp_path / "labels.png")
    assert np.all(labels[0, :4] == 255)
    assert np.all(labels[1:] == 3)
    colours[0, 4] = (1, 2, 3)
    write_labels(tmp_path / "labels.png", colours)
    with pytest.raises(InputError, match=r"labels\.png: 5 pixels have colours that CamVid"):
        read_colours(tmp_path / "labels.png")


def test_the_splits_have_their_official_sizes() -> None:
    frames = [("0001TP", n) for n in range(6690, 10381, 30)]
    frames += [("0006R0", n) for n in range(930, 3931, 30)]
    frames += [("Seq05VD", n) for n in range(0, 5101, 30)]
    frames += [("0016E5", n) for n in range(390, 2401, 30)]
    frames += [("0016E5", n) for n in range(4350, 7921, 30)]
    frames += [("0016E5", n) for n in range(7959, 8160, 2)]
    frames += [("0016E5", n) for n in range(8190, 8641, 30)]
    assert len(frames) == 701
    splits = [split_of(*frame) for frame in frames]
    assert [splits.count(split) for split in ("train", "val", "test")] == [367, 101, 233]


def test_videos_are_stretches_of_extracted_frames(tmp_path: Path) -> None:
    add_camvid(tmp_path, "0006R0", [930, 960, 990, 1080], [*range(900, 992), *range(1075, 1080)])
    add_camvid(tmp_path, "0001TP", [8550], list(range(8540, 8551)))
    dataset = open_dataset(f"camvid:{tmp_path}", "train")
    assert [(v.name, v.num_frames, list(v.labelled)) for v in dataset.videos] == [
        ("0006R0_000900", 91, [30, 60, 90]),
        ("0006R0_001075", 6, [5]),
    ]
    assert dataset.videos[0].frame_rate == 30.0
    frame = dataset.videos[0].frame(29)
    assert frame.name == "0006R0_f00929"
    np.testing.assert_array_equal(frame.image, picture(929 % 80))
    assert np.all(dataset.videos[0].labels(30) == 3)
    clips = ClipDataset(dataset, 4, spacings=(1,))
    expected = np.stack([picture(number % 80) for number in (1077, 1078, 1079, 1080)])
    np.testing.assert_array_equal(clips[3, 0].frames.numpy(), expected)
    (test,) = open_dataset(f"camvid:{tmp_path}", "test").videos
    assert (test.name, list(test.labelled)) == ("0001TP_008540", [10])


def test_stills_alone_are_videos_of_one_frame(tmp_path: Path) -> None:
    add_camvid(tmp_path, "0006R0", [930, 960], [])
    dataset = open_dataset(f"camvid:{tmp_path}")
    assert [(video.num_frames, list(video.labelled)) for video in dataset.videos] == [(1, [0])] * 2
    assert len(ClipDataset(dataset, 1)) == 2
    expected = [tmp_path / f"frames/0006R0/0006R0_f{n:05d}.png" for n in range(924, 930)]
    assert list(dataset.videos[0].also_expected) == expected
    with pytest.raises(InputError, match="none of the 2 labelled frames has the 3 frames"):
        ClipDataset(dataset, 4)


def test_a_hole_divides_a_video(tmp_path: Path) -> None:
    numbers = [n for n in range(900, 990) if n != 957]
    add_camvid(tmp_path, "0006R0", [930, 960, 990], numbers)
    dataset = open_dataset(f"camvid:{tmp_path}")
    assert [video.num_frames for video in dataset.videos] == [57, 33]
    assert [path.name for path in dataset.videos[1].also_expected] == ["0006R0_f00957.png"]


def test_the_first_frame_of_a_video_has_none_before_it(tmp_path: Path) -> None:
    add_camvid(tmp_path, "Seq05VD", [0, 30], list(range(1, 30)))
    (video,) = open_dataset(f"camvid:{tmp_path}", "test").videos
    assert (video.num_frames, list(video.labelled), list(video.also_expected)) == (31, [0, 30], [])


def test_frames_that_are_off_by_some_are_noticed(tmp_path: Path) -> None:
    labelled = list(range(930, 1081, 30))
    random = np.random.default_rng(1)
    film = {n: random.integers(0, 256, (18, 24, 3)).astype(np.uint8) for n in range(900, 1100)}
    for number in labelled:
        write_image(
            tmp_path / f"701_StillsRaw_full/{camvid_stem('0006R0', number)}.png", film[number]
        )
    for number in range(905, 1090):
        write_image(
            tmp_path / f"frames/0006R0/{camvid_stem('0006R0', number)}.png", film[number + 1]
        )
    (line,), unknown = check_frame_numbers(str(tmp_path))
    assert unknown == []
    assert line.endswith(
        "frame N looks like still N+1; change the numbers of the extracted frames by +1"
    )
    for number in range(905, 1090):
        write_image(tmp_path / f"frames/0006R0/{camvid_stem('0006R0', number)}.png", film[number])
    assert check_frame_numbers(str(tmp_path)) == ([], [])
    # One that cannot be read does not keep the others from being compared.
    write_image(tmp_path / f"frames/0006R0/{camvid_stem('0006R0', 931)}.png", film[900])
    for damaged in ("frames/0006R0/0006R0_f00958.png", "701_StillsRaw_full/0006R0_f00990.png"):
        (tmp_path / damaged).write_bytes(b"\x89PNG broken")
    (tmp_path / "701_StillsRaw_full/copy of one.png").write_bytes(b"")
    wrong, unknown = check_frame_numbers(str(tmp_path))
    assert unknown == []
    assert len(wrong) == 3
    for line, name in zip(sorted(wrong), ("f00990", "copy of one", "f00958"), strict=True):
        assert name in line


def test_numbers_that_cannot_be_compared_are_said(tmp_path: Path) -> None:
    add_camvid(tmp_path, "0006R0", [930, 960], list(range(954, 961)))
    wrong, (line,) = check_frame_numbers(str(tmp_path))
    assert wrong == []
    assert line.startswith(f"{tmp_path}/frames/0006R0: its numbers could not be compared")


def test_what_is_missing_or_strange_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"LabeledApproved_full: no \*_L\.png for train .*CamVid"):
        open_dataset(f"camvid:{tmp_path}")
    path = tmp_path / "LabeledApproved_full/0006R0_f00930_L.png"
    write_labels(path, np.zeros((6, 8), np.uint8))
    video = open_dataset(f"camvid:{tmp_path}").videos[0]
    with pytest.raises(InputError, match=r"0006R0_f00930\.png: does not exist"):
        video.frame(0)
    with pytest.raises(InputError, match=r"0006R0_f00930_L\.png: not a coloured picture"):
        video.labels(0)
    write_labels(tmp_path / "LabeledApproved_full/strange_L.png", np.zeros((6, 8), np.uint8))
    with pytest.raises(InputError, match=r"strange_L\.png: not a name like 0006R0_f00930"):
        open_dataset(f"camvid:{tmp_path}")
