"""Cityscapes: the official folders, and those that `tdnet synthesize` writes."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from support.labelled import picture, write_labels
from support.media import write_image

from tdnet import ClassMap
from tdnet.errors import InputError, UnknownNameError
from tdnet_offline.command import main
from tdnet_offline.datasets import ClipDataset, open_dataset
from tdnet_offline.street import StreetDrive

ROAD, CAR, OUT_OF_ROI, PLATE = 7, 26, 3, 255


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two snippets of one sequence in Frankfurt (val), one in Aachen (train)."""
    places = [
        ("val", "frankfurt", 0, 294),
        ("val", "frankfurt", 0, 576),
        ("train", "aachen", 3, 19),
    ]
    for split, city, sequence, labelled in places:
        stem = f"{city}_{sequence:06d}"
        for frame in range(labelled - 19, labelled + 11):
            name = f"leftImg8bit_sequence/{split}/{city}/{stem}_{frame:06d}_leftImg8bit.png"
            write_image(tmp_path / name, picture(frame))
        labels = np.full((6, 8), ROAD, np.uint8)
        labels[0], labels[1], labels[2, 0] = CAR, OUT_OF_ROI, PLATE
        for kind in ("labelIds", "instanceIds", "color"):
            name = f"gtFine/{split}/{city}/{stem}_{labelled:06d}_gtFine_{kind}.png"
            write_labels(tmp_path / name, labels)
    return tmp_path


def test_each_labelled_frame_has_its_snippet(root: Path) -> None:
    dataset = open_dataset(f"cityscapes:{root}", "val")
    assert [v.name for v in dataset.videos] == [
        "frankfurt_000000_000294",
        "frankfurt_000000_000576",
    ]
    video = pickle.loads(pickle.dumps(dataset.videos[1]))
    assert (video.num_frames, list(video.labelled), video.frame_rate) == (30, [19], 17.0)
    np.testing.assert_array_equal(video.frame(0).image, picture(557))
    assert video.frame(19).name == "frankfurt_000000_000576_leftImg8bit"
    np.testing.assert_array_equal(video.frame(29).image, picture(586))
    assert (dataset.split, dataset.class_map.name, dataset.num_labelled) == (
        "val",
        "cityscapes",
        2,
    )


def test_label_ids_become_train_ids(root: Path) -> None:
    labels = open_dataset(f"cityscapes:{root}", "train").videos[0].labels(19)
    assert np.all(labels[0] == 13)
    assert np.all(labels[1] == 255)
    assert labels[2, 0] == 255
    assert np.all(labels[3:] == 0)


def test_train_ids_alone_suffice(root: Path) -> None:
    expected = open_dataset(f"cityscapes:{root}", "train").videos[0].labels(19)
    path = next(root.glob("gtFine/train/*/*_labelIds.png"))
    path = path.rename(path.with_name(path.name.replace("labelIds", "labelTrainIds")))
    write_labels(path, expected)
    (video,) = open_dataset(f"cityscapes:{root}", "train").videos
    assert (video.name, list(video.labelled)) == ("aachen_000003_000019", [19])
    np.testing.assert_array_equal(video.labels(19), expected)
    write_labels(path, np.full((6, 8), ROAD + 12, np.uint8))
    with pytest.raises(InputError, match=r"labelTrainIds\.png: 48 pixels have ids .* know: 19"):
        video.labels(19)


def test_clips_end_in_the_labelled_frame(root: Path) -> None:
    clips = ClipDataset(open_dataset(f"cityscapes:{root}", "val"), 4, spacings=(2,))
    np.testing.assert_array_equal(
        clips[0, 0].frames.numpy(), np.stack([picture(n) for n in (288, 290, 292, 294)])
    )


def test_a_class_map_with_fewer_classes_is_that_of_the_labels(root: Path) -> None:
    text = "name: robot\nnetwork: cityscapes\nrest: unlabelled\nclasses:\n"
    text += "  - {id: 5, name: free, color: [1, 2, 3], from: [road, sidewalk]}\n"
    robot = ClassMap.from_yaml(text, "robot.yaml")
    dataset = open_dataset(f"cityscapes:{root}", "train", class_map=robot)
    assert dataset.class_map is robot
    labels = dataset.videos[0].labels(19)
    assert np.all(labels[3:] == 5)
    assert np.all(labels[:2] == 255)
    assert dataset.videos[0].frame(0).image.shape == (6, 8, 3)
    with pytest.raises(InputError, match="network of 11 classes; cityscapes has 19"):
        open_dataset(f"cityscapes:{root}", "train", class_map=ClassMap.load("camvid"))


def test_a_missing_frame_is_named(root: Path) -> None:
    frame = "leftImg8bit_sequence/train/aachen/aachen_000003_000018_leftImg8bit.png"
    (root / frame).unlink()
    dataset = open_dataset(f"cityscapes:{root}", "train")
    with pytest.raises(InputError, match=rf"{frame}: does not exist"):
        ClipDataset(dataset, 2, spacings=(1,))[0, 0]
    (video,) = dataset.videos
    assert [path for i in range(30) for path in video.files(i) if not path.exists()] == [
        root / frame
    ]


def add_stills(root: Path) -> None:
    """Add the package of 11 GB: the labelled frames alone, here 100 brighter."""
    for labels in root.glob("gtFine/*/*/*_labelIds.png"):
        stem = labels.name.removesuffix("_gtFine_labelIds.png")
        folder = root / "leftImg8bit" / labels.parents[1].name / labels.parent.name
        frame = int(stem.rpartition("_")[2])
        write_image(folder / f"{stem}_leftImg8bit.png", picture(frame + 100))


def test_without_sequences_each_labelled_frame_is_a_video(root: Path) -> None:
    add_stills(root)
    with_sequences = open_dataset(f"cityscapes:{root}", "val")
    assert [video.num_frames for video in with_sequences.videos] == [30, 30]
    expected = with_sequences.videos[1].labels(19)
    (root / "leftImg8bit_sequence").rename(root / "elsewhere")
    dataset = open_dataset(f"cityscapes:{root}", "val")
    assert [video.name for video in dataset.videos] == [v.name for v in with_sequences.videos]
    video = pickle.loads(pickle.dumps(dataset.videos[1]))
    assert (video.num_frames, list(video.labelled), video.frame_rate) == (1, [0], None)
    np.testing.assert_array_equal(video.frame(0).image, picture(676))
    np.testing.assert_array_equal(video.labels(0), expected)
    assert len(ClipDataset(dataset, 1)) == 2
    with pytest.raises(InputError, match=r"none of the 2 .* or train with data.repeat_stills=tr"):
        ClipDataset(dataset, 4)
    assert len(ClipDataset(dataset, 4, repeat=True)) == 2


def test_check_counts_stills(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_stills(root)
    (root / "leftImg8bit_sequence").rename(root / "elsewhere")
    assert main(["check", f"cityscapes:{root}", "--split", "val", "--length", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["2 videos, 2 frames, 2 labelled", "2 clips of 1 frame"]
    assert any(line.startswith("note: every video has one frame;") for line in lines)
    assert main(["check", f"cityscapes:{root}", "--split", "val"]) == 2
    assert "nothing can be used: no clip of 4 frames" in capsys.readouterr().out
    still = root / "leftImg8bit/val/frankfurt/frankfurt_000000_000294_leftImg8bit.png"
    still.unlink()
    assert main(["check", f"cityscapes:{root}", "--split", "val", "--length", "1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"missing: 1 file in {still.parent}, such as {still.name}" in lines
    assert "leftImg8bit_trainvaltest.zip, 11 GB" in lines[-1]


def test_missing_downloads_are_named(root: Path) -> None:
    (root / "leftImg8bit_sequence").rename(root / "elsewhere")
    with pytest.raises(InputError, match=r"neither leftImg8bit_sequence/val nor leftImg8bit/val;"):
        open_dataset(f"cityscapes:{root}", "val")
    with pytest.raises(InputError, match="gtFine/test: no CITY/.*gtFine_trainvaltest"):
        open_dataset(f"cityscapes:{root}", "test")
    with pytest.raises(UnknownNameError, match="unknown split 'vall'; .*Did you mean 'val'"):
        open_dataset(f"cityscapes:{root}", "vall")


def test_damaged_and_strange_labels_are_named(root: Path) -> None:
    name = "gtFine/train/aachen/aachen_000003_000019_gtFine_labelIds.png"
    video = open_dataset(f"cityscapes:{root}", "train").videos[0]
    write_labels(root / name, np.full((6, 8), 34, np.uint8))
    with pytest.raises(InputError, match=rf"{name}: 48 pixels have ids .* not know: 34"):
        video.labels(19)
    write_labels(root / name, np.full((5, 8), 7, np.uint8))
    with pytest.raises(InputError, match=rf"{name}: labels of 5 x 8 for a frame of 6 x 8"):
        video.labels(19)
    write_labels(root / name, np.zeros((6, 8, 3), np.uint8))
    with pytest.raises(InputError, match=rf"{name}: a coloured picture"):
        video.labels(19)
    with pytest.raises(InputError, match="no labels"):
        video.labels(18)


def test_what_synthesize_writes_is_read(tmp_path: Path) -> None:
    root = tmp_path / "street"
    words = ["synthesize", str(root), "--format", "cityscapes", "--seed", "6", "--frames", "30"]
    assert main([*words, "--size", "32", "48"]) == 0
    dataset = open_dataset(f"cityscapes:{root}", "train")
    (video,) = dataset.videos
    frame = StreetDrive(6, (32, 48)).frame(19)
    np.testing.assert_array_equal(video.frame(19).image, frame.image)
    np.testing.assert_array_equal(video.labels(19), frame.labels)
