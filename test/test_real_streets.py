"""Teacher labels of real streets, corrected by human ones by the table of the tool."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.labelled import picture, write_labels
from support.media import write_image

from tdnet import ClassMap
from tdnet_offline.datasets import open_dataset
from tools.real_streets import correct, lay_out

FINE, COARSE = ClassMap.load("cityscapes"), ClassMap.load("camvid")
VOID = IGNORED = 255


def corrected(human: str, teacher: str) -> str | None:
    """Return the class of one corrected pixel; None: ignored."""
    given = correct(
        np.array([[FINE.class_by_name(teacher).id]], np.uint8),
        np.array([[COARSE.class_by_name(human).id]], np.uint8),
    )
    names = {entry.id: entry.name for entry in FINE.classes}
    return names.get(int(given[0, 0]))


@pytest.mark.parametrize(
    ("human", "teacher", "expected"),
    [
        # The human class is finer or equal: it replaces the teacher's.
        ("sky", "building", "sky"),
        ("building", "wall", "building"),
        ("pole", "vegetation", "pole"),
        ("road", "sidewalk", "road"),
        ("sidewalk", "road", "sidewalk"),
        ("tree", "building", "vegetation"),
        ("sign symbol", "building", "traffic sign"),
        ("fence", "building", "fence"),
        ("car", "road", "car"),
        ("pedestrian", "car", "person"),
        # The teacher's class is a subclass: it is kept.
        ("tree", "terrain", "terrain"),
        ("sign symbol", "traffic light", "traffic light"),
        ("car", "truck", "truck"),
        ("car", "bus", "bus"),
        ("car", "train", "train"),
        ("bicyclist", "rider", "rider"),
        ("bicyclist", "bicycle", "bicycle"),
        ("bicyclist", "motorcycle", "motorcycle"),
        # Neither is certain: ignored.
        ("bicyclist", "person", None),
        ("fence", "wall", None),
    ],
)
def test_a_pixel_is_corrected_by_the_table(human: str, teacher: str, expected: str) -> None:
    assert corrected(human, teacher) == expected


def test_human_void_keeps_the_teacher_and_nothing_is_changed_in_place() -> None:
    teacher = np.arange(19, dtype=np.uint8)[None]
    human = np.full_like(teacher, VOID)
    np.testing.assert_array_equal(correct(teacher, human), teacher)
    before = teacher.copy()
    assert set(correct(teacher, np.zeros_like(teacher)).ravel()) == {
        FINE.class_by_name(COARSE.classes[0].name).id
    }
    np.testing.assert_array_equal(teacher, before)


def test_every_human_class_is_corrected_once() -> None:
    """If the teacher ignores a pixel, the human label is used."""
    human = np.array([[entry.id for entry in COARSE.classes]], np.uint8)
    given = correct(np.full_like(human, IGNORED), human)
    unsure = COARSE.class_by_name("bicyclist").id
    assert [bool(item == IGNORED) for item in given[0]] == [i == unsure for i in human[0]]


def test_data_sets_are_laid_out(tmp_path: Path) -> None:
    source = tmp_path / "source"
    road = np.zeros((6, 8), np.uint8)
    for split, stems in (("train", ("a", "b")), ("val", ("c", "d")), ("test", ("e",))):
        for number, stem in enumerate(stems):
            write_image(source / f"camvid/frames/{split}/{stem}.png", picture(number))
            write_labels(source / f"camvid/teacher/{split}/{stem}.png", road)
            human = np.full((6, 8), COARSE.class_by_name("sidewalk").id, np.uint8)
            human[0] = VOID
            write_labels(source / f"camvid/human/{split}/{stem}.png", human)
    for name in ("aachen", "kitti"):
        for number in range(3):
            write_image(source / f"{name}/frames/clip/{number}.png", picture(number))
            write_labels(source / f"{name}/teacher/clip/{number}.png", road)
    lay_out(source, tmp_path / "out")

    stills = open_dataset(f"folder:{tmp_path}/out/camvid", "train")
    assert [video.num_frames for video in stills.videos] == [1, 1]
    labels = stills.videos[0].labels(0)
    assert set(labels[0]) == {0}
    assert set(labels[1:].ravel()) == {FINE.class_by_name("sidewalk").id}
    (held_out,) = open_dataset(f"folder:{tmp_path}/out/camvid", "val").videos
    assert (held_out.num_frames, len(held_out.labelled)) == (2, 2)
    clips = open_dataset(f"folder:{tmp_path}/out/clips", "train")
    assert sorted(video.name for video in clips.videos) == ["aachen-clip", "kitti-clip"]
    assert all(len(video.labelled) == 3 for video in clips.videos)
    human = open_dataset(f"folder:{tmp_path}/out/camvid11", "test")
    assert human.class_map.name == "camvid"
    assert set(human.videos[0].labels(0)[0]) == {VOID}
