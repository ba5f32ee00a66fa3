"""A bag with images and labels as a data set."""

from __future__ import annotations

import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.labelled import picture
from support.media import SECOND, compressed_message, damage_bag, raw_message, write_bag
from torch.utils.data import DataLoader

from tdnet.errors import InputError, UnknownNameError
from tdnet_offline.datasets import ClipDataset, Dataset, open_dataset
from tdnet_offline.frames import Frame, open_source
from tdnet_offline.street import StreetDrive
from tdnet_offline.street_bag import write_street_bag

IMAGES, LABELS = "/front/image", "/front/labels"
PERIOD = SECOND // 20


def stamp(index: int) -> int:
    return 1_700_000_000 * SECOND + index * PERIOD


def label_message(labels: np.ndarray, stamp_ns: int, encoding: str = "mono8") -> Any:
    rgb = np.repeat(labels[..., None], 3, axis=2)
    message = raw_message(rgb, stamp_ns, encoding=encoding, step=labels.shape[1])
    message.data = np.ascontiguousarray(labels).reshape(-1)
    return message


def ids(index: int) -> np.ndarray:
    return np.full((6, 8), index % 19, np.uint8)


def write(path: Path, frames: int = 9, encoding: str = "mono8") -> Path:
    """Every third frame has labels, which are recorded one frame late."""
    messages: list[tuple[str, Any]] = []
    for index in range(frames):
        messages.append((IMAGES, raw_message(picture(index), stamp(index))))
        if index % 3 == 1:
            labels = label_message(ids(index - 1), stamp(index - 1), encoding)
            messages.append((LABELS, labels))
    return write_bag(path, messages)


def opened(path: Path) -> Dataset:
    return open_dataset(str(path), topic=IMAGES, label_topic=LABELS)


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_labels_belong_to_the_images_with_their_stamps(tmp_path: Path, encoding: str) -> None:
    dataset = opened(write(tmp_path / "drive", encoding=encoding))
    assert (dataset.name, dataset.split, dataset.class_map.name) == ("bag", "", "cityscapes")
    (video,) = dataset.videos
    assert (video.name, video.num_frames, list(video.labelled)) == ("drive", 9, [0, 3, 6])
    assert video.frame_rate == pytest.approx(20.0)
    for index in (6, 0, 3):
        np.testing.assert_array_equal(video.labels(index), ids(index))
        np.testing.assert_array_equal(video.frame(index).image, picture(index))
    with pytest.raises(InputError, match="drive: frame 1 has no labels"):
        video.labels(1)
    with pytest.raises(InputError, match="drive: no frame 9; it has 9"):
        video.frame(9)


def test_frames_in_any_order_are_those_that_predict_reads(tmp_path: Path) -> None:
    path = write(tmp_path / "drive", frames=30)
    (video,) = opened(path).videos
    expected = list(open_source(path, IMAGES))
    for index in [*range(30), 29, 2, 3, 20, 21, 0, 12, 11]:
        frame, other = video.frame(index), expected[index]
        assert isinstance(other, Frame)
        assert (frame.name, frame.stamp_ns, frame.frame_id) == (
            other.name,
            other.stamp_ns,
            other.frame_id,
        )
        np.testing.assert_array_equal(frame.image, other.image)


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_the_street_bag(tmp_path: Path, storage: str) -> None:
    drive = StreetDrive(5, (32, 48))
    write_street_bag(tmp_path / "street", drive, 6, storage=storage)
    topics = {"topic": "/camera/image_raw", "label_topic": "/camera/labels"}
    dataset = open_dataset(str(tmp_path / "street"), **topics)
    video = pickle.loads(pickle.dumps(dataset)).videos[0]
    assert list(video.labelled) == list(range(6))
    for index in (4, 5, 1):
        frame = drive.frame(index)
        np.testing.assert_array_equal(video.frame(index).image, frame.image)
        np.testing.assert_array_equal(video.labels(index), frame.labels)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_open_the_bag_for_themselves(tmp_path: Path, method: str) -> None:
    clips = ClipDataset(opened(write(tmp_path / "drive")), 2, spacings=(1,))
    mine = [clips[index, 0] for index in range(len(clips))]
    loader = DataLoader(
        clips,
        sampler=[(0, 0), (1, 0)],
        batch_size=None,
        num_workers=2,
        multiprocessing_context=method,
    )
    for clip, other in zip(mine, loader, strict=True):
        np.testing.assert_array_equal(clip.frames, other.frames)
        np.testing.assert_array_equal(clip.labels, other.labels)


def test_compressed_topics(tmp_path: Path) -> None:
    jpeg = cv2.imencode(".jpg", picture(0)[..., ::-1])[1].tobytes()
    png = cv2.imencode(".png", ids(4))[1].tobytes()
    messages = [
        (IMAGES, compressed_message(jpeg, "jpeg", stamp(0))),
        (LABELS, compressed_message(png, "mono8; png compressed ", stamp(0))),
    ]
    video = opened(write_bag(tmp_path / "drive", messages)).videos[0]
    assert video.frame(0).image.shape == (6, 8, 3)
    np.testing.assert_array_equal(video.labels(0), ids(4))


def test_without_a_label_topic_nothing_is_labelled(tmp_path: Path) -> None:
    write_bag(tmp_path / "drive", [(IMAGES, raw_message(picture(0), stamp(0)))])
    dataset = open_dataset(str(tmp_path / "drive"))
    assert (dataset.num_labelled, dataset.videos[0].num_frames) == (0, 1)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (label_message(np.full((6, 8), 77, np.uint8), stamp(0)), "48 pixels have ids .*: 77"),
        (label_message(np.zeros((5, 8), np.uint8), stamp(0)), r"5 x 8 for a frame of 6 x 8"),
        (raw_message(picture(0), stamp(0)), "encoding 'rgb8'; labels are one of mono8, 8UC1"),
    ],
)
def test_labels_that_do_not_fit(tmp_path: Path, labels: Any, problem: str) -> None:
    messages = [(IMAGES, raw_message(picture(0), stamp(0))), (LABELS, labels)]
    video = opened(write_bag(tmp_path / "drive", messages)).videos[0]
    with pytest.raises(InputError, match=f"drive: labels of frame 000000_{stamp(0)}: {problem}"):
        video.labels(0)


def test_a_broken_message_is_told_when_it_is_asked_for(tmp_path: Path) -> None:
    broken = raw_message(picture(1), stamp(1), width=9)
    messages = [(IMAGES, raw_message(picture(0), stamp(0))), (IMAGES, broken)]
    video = open_dataset(str(write_bag(tmp_path / "drive", messages))).videos[0]
    assert video.num_frames == 2
    with pytest.raises(InputError, match=rf"drive frame 000001_{stamp(1)}: a row of 9 pixels"):
        video.frame(1)
    np.testing.assert_array_equal(video.frame(0).image, picture(0))


def test_a_bag_that_was_never_finished_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "drive", frames=30)
    (path / "metadata.yaml").unlink()
    (storage,) = path.iterdir()
    # The folder, as its recorder left it, or the file in it.
    assert opened(path).videos[0].num_frames == 30
    (video,) = opened(storage).videos
    assert video.num_frames == 30
    for index in (0, 1, 27, 5):
        np.testing.assert_array_equal(video.frame(index).image, picture(index))
    np.testing.assert_array_equal(video.labels(27), ids(27))


def test_mistakes_are_told_in_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "drive")
    with pytest.raises(InputError, match=f"no topic '/lables'; image topics .* {LABELS}"):
        open_dataset(str(path), topic=IMAGES, label_topic="/lables")
    with pytest.raises(InputError, match="/front/labels cannot be both images and labels"):
        open_dataset(str(path), topic=LABELS, label_topic=LABELS)
    late = [
        (IMAGES, raw_message(picture(0), stamp(0))),
        (LABELS, label_message(ids(0), stamp(0) + 1)),
    ]
    with pytest.raises(
        InputError,
        match="none of the 1 labels on /front/labels is one of the 1 images' .* has the stamp",
    ):
        opened(write_bag(tmp_path / "late", late))
    with pytest.raises(InputError, match="is not a bag; give the path of a bag, or NAME:ROOT"):
        open_dataset(str(tmp_path))
    with pytest.raises(InputError, match="nothing at this path"):
        open_dataset(str(tmp_path / "none"))
    with pytest.raises(UnknownNameError, match="unknown data set 'cityscape'; .*'cityscapes'"):
        open_dataset(f"cityscape:{tmp_path}")


def stamped(path: Path, images: Sequence[int], labels: Sequence[int]) -> Path:
    """Image n is `picture(n)`, labels n are `ids(n)`; both topics have the stamps given."""
    messages = [(IMAGES, raw_message(picture(n), stamp)) for n, stamp in enumerate(images)]
    messages += [(LABELS, label_message(ids(n), stamp)) for n, stamp in enumerate(labels)]
    return write_bag(path, messages)


@pytest.mark.parametrize(
    "stamps", [[0] * 5, [SECOND, 2 * SECOND, 3 * SECOND] * 2], ids=["not set", "goes round"]
)
def test_where_stamps_repeat_images_and_labels_are_paired_in_order(
    tmp_path: Path, stamps: list[int]
) -> None:
    (video,) = opened(stamped(tmp_path / "drive", stamps, stamps)).videos
    assert list(video.labelled) == list(range(len(stamps)))
    for index in video.labelled:
        np.testing.assert_array_equal(video.labels(index), ids(index))
    assert list(video.unused) == []


def test_labels_of_which_nobody_knows_whose_they_are_are_left_out(tmp_path: Path) -> None:
    known = [stamp(0), stamp(1)]
    (video,) = opened(stamped(tmp_path / "some", [*known, 0, 0, 0], [*known, 0, 0])).videos
    assert list(video.labelled) == [0, 1]
    (line,) = video.unused
    assert line.startswith("2 labels on /front/labels are left out: ")
    with pytest.raises(InputError) as caught:
        opened(stamped(tmp_path / "none", [0] * 3, [0] * 2))
    assert "none of the 2 labels on /front/labels is one of the 3 images'" in str(caught.value)
    assert "their stamps are not set or repeat" in str(caught.value)


def test_no_clip_goes_across_a_break_of_the_recording(tmp_path: Path) -> None:
    seconds = [100.0, 100.1, 100.2, 900.0, 900.1, 900.2, 900.3, 50.0, 50.1]
    stamps = [round(second * SECOND) for second in seconds]
    dataset = opened(stamped(tmp_path / "drive", stamps, stamps))
    assert list(dataset.videos[0].breaks) == [3, 7]
    clips = ClipDataset(dataset, 3)
    assert [clips[index, 0].name for index in range(len(clips))] == [
        f"drive frame {last}" for last in (2, 5, 6)
    ]
    # Two gaps of two would begin in the view before.
    within = [(4, 5, 6), (3, 5, 6), (3, 4, 6)]
    views = [np.stack([picture(index) for index in frames]) for frames in within]
    drawn = [clips[2, draw].frames.numpy() for draw in range(40)]
    found = [[np.array_equal(frames, view) for view in views] for frames in drawn]
    assert all(map(any, found))
    assert all(map(any, zip(*found, strict=True)))


def test_the_damage_of_a_bag_is_kept_on_its_video(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drive = StreetDrive(5, (64, 96))
    topics = {"topic": "/camera/image_raw", "label_topic": "/camera/labels"}
    write_street_bag(tmp_path / "street", drive, 6)
    assert open_dataset(str(tmp_path / "street"), **topics).videos[0].damage is None
    damage_bag(tmp_path / "street", drive.frame(4).image.tobytes())
    dataset = open_dataset(str(tmp_path / "street"), **topics)
    (video,) = dataset.videos
    assert (video.num_frames, list(video.labelled)) == (4, [0, 1, 2, 3])
    assert (video.damage or "").startswith("the bag is damaged, nothing is read after")
    ClipDataset(dataset, 2)
    assert [record.message for record in caplog.records] == [f"street: {video.damage}"]
    damage_bag(tmp_path / "street", drive.frame(0).image.tobytes())
    with pytest.raises(InputError, match="the 0 labels .* the 0 images' .*: the bag is damaged"):
        open_dataset(str(tmp_path / "street"), **topics)


def test_broken_labels_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "drive")
    (storage,) = path.glob("*.db3")
    with sqlite3.connect(storage) as database:
        topic = "(SELECT id FROM topics WHERE name = ?)"
        database.execute(
            f"UPDATE messages SET data = x'00' WHERE id IN (SELECT max(id) FROM messages "
            f"WHERE topic_id = {topic})",
            (LABELS,),
        )
    database.close()
    (video,) = opened(path).videos
    assert list(video.labelled) == [0, 3]
    assert list(video.unused) == ["damaged messages on /front/labels: 1 of 3"]


def test_the_images_are_what_is_left_beside_the_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "drive")
    (video,) = open_dataset(str(path), label_topic=LABELS).videos
    np.testing.assert_array_equal(video.frame(0).image, picture(0))
    third = [(topic, raw_message(picture(0), stamp(0))) for topic in (IMAGES, LABELS, "/rear")]
    with pytest.raises(InputError, match="choose a topic; .*: /front/image, /front/labels, /rear"):
        open_dataset(str(write_bag(tmp_path / "three", third)), label_topic=LABELS)
    alone = write_bag(tmp_path / "alone", [(LABELS, label_message(ids(0), stamp(0)))])
    with pytest.raises(InputError, match="/front/labels cannot be both images and labels"):
        open_dataset(str(alone), label_topic=LABELS)


def test_a_bag_is_closed_before_python_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "drive")
    program = (
        "import sys; from tdnet_offline.datasets import open_dataset\n"
        "dataset = open_dataset(sys.argv[1], topic=sys.argv[2]); dataset.videos[0].frame(0)\n"
        "kept = [dataset]; kept.append(kept)"  # for the collector, when modules are gone
    )
    words = [sys.executable, "-c", program, str(path), IMAGES]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=True)
    assert done.stderr == ""
