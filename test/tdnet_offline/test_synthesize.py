"""`tdnet synthesize`: bags and folders with the drive's frames, and mistakes in one line."""

from __future__ import annotations

import filecmp
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.bag_messages import read_messages

from tdnet_offline.bags import STORAGES, image_topics, open_bag
from tdnet_offline.cityscapes_layout import SNIPPET_FRAMES
from tdnet_offline.command import main
from tdnet_offline.commands import synthesize
from tdnet_offline.street import StreetDrive

SIZE = ["--size", "48", "96"]


def synthesize_bag(out: Path, *words: str) -> int:
    return main(["synthesize", str(out), "--format", "bag", "--frames", "3", *SIZE, *words])


@pytest.mark.parametrize("storage", STORAGES)
def test_a_bag_holds_images_labels_and_camera_info(
    tmp_path: Path, storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "street"
    assert synthesize_bag(out, "--seed", "4", "--rate", "10", "--storage", storage) == 0
    assert capsys.readouterr().out == f"{out}: 3 frames, seed 4\n"
    drive = StreetDrive(4, (48, 96), 10.0)
    images = list(read_messages(out, ["/camera/image_raw"]))
    labels = list(read_messages(out, ["/camera/labels"]))
    infos = list(read_messages(out, ["/camera/camera_info"]))
    assert len(images) == len(labels) == len(infos) == 3
    for index, entries in enumerate(zip(images, labels, infos, strict=True)):
        image, label, info = (entry.message for entry in entries)
        stamps = {(m.header.stamp.sec, m.header.stamp.nanosec) for m in (image, label, info)}
        assert stamps == {(1_700_000_000, index * 100_000_000)}
        assert {entry.stamp_ns for entry in entries} == {
            1_700_000_000_000_000_000 + index * 100_000_000
        }
        assert {m.header.frame_id for m in (image, label, info)} == {"camera"}
        frame = drive.frame(index)
        assert (image.encoding, label.encoding, label.step) == ("rgb8", "mono8", 96)
        np.testing.assert_array_equal(image.data.reshape(48, 96, 3), frame.image)
        np.testing.assert_array_equal(label.data.reshape(48, 96), frame.labels)
        assert info.k[0] == drive.intrinsics.focal


def test_topics_can_be_named(tmp_path: Path) -> None:
    out = tmp_path / "bag"
    words = ["--topic", "/front/image", "--label-topic", "/front/truth"]
    assert synthesize_bag(out, *words, "--depth-topic", "/front/depth") == 0
    with open_bag(out) as bag:
        assert set(image_topics(bag)) == {"/front/image", "/front/truth", "/front/depth"}
    depth = next(iter(read_messages(out, ["/front/depth"]))).message
    assert (depth.encoding, depth.step) == ("32FC1", 4 * 96)
    exact = StreetDrive(0, (48, 96)).frame(0, with_depth=True).depth
    np.testing.assert_array_equal(depth.data.view(np.float32).reshape(48, 96), exact)
    assert len(list(read_messages(out, ["/front/camera_info"]))) == 3


def test_the_same_seed_gives_the_same_bag(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        assert synthesize_bag(tmp_path / name / "street", "--storage", "mcap") == 0
    files = [tmp_path / name / "street" / "street.mcap" for name in ("a", "b")]
    assert filecmp.cmp(*files, shallow=False)


def test_cityscapes_snippets_come_from_seeds_of_their_own(tmp_path: Path) -> None:
    out = tmp_path / "city"
    words = ["synthesize", str(out), "--format", "cityscapes", "--frames", "150", "--seed", "3"]
    assert main([*words, "--size", "32", "64"]) == 0
    for kind, count in (("leftImg8bit_sequence", SNIPPET_FRAMES), ("gtFine", 1)):
        folders = sorted(folder for split in (out / kind).iterdir() for folder in split.iterdir())
        cities = [f"{folder.parent.name}/{folder.name}" for folder in folders]
        assert cities == [*(f"train/street{seed}" for seed in (3, 4, 5, 6)), "val/street7"]
        assert all(len(list(folder.iterdir())) == count for folder in folders)
    name = "gtFine/val/street7/street7_000000_000019_gtFine_labelIds.png"
    assert cv2.imread(str(out / name), cv2.IMREAD_UNCHANGED).shape == (32, 64)


def test_an_empty_folder_is_written_to(tmp_path: Path) -> None:
    assert synthesize_bag(tmp_path / "new") == 0
    (tmp_path / "empty").mkdir()
    assert synthesize_bag(tmp_path / "empty") == 0


@pytest.mark.parametrize("form", synthesize.FORMATS)
def test_what_is_there_is_not_overwritten(
    tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    assert main(["synthesize", str(tmp_path), "--format", form, "--frames", "30"]) == 2
    error = capsys.readouterr().err
    assert error == f"tdnet: {tmp_path} exists already; remove it or give another folder\n"
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param([], "required: --format", id="no format"),
        pytest.param(["--format", "mp4"], "invalid choice: 'mp4'", id="unknown format"),
        pytest.param(["--format", "bag", "--frames", "0"], "whole number from 1", id="no frames"),
        pytest.param(["--format", "bag", "--frames", "x"], "whole number from 1", id="a word"),
        pytest.param(["--format", "bag", "--size", "8", "96"], "from 32 to 4096", id="too small"),
        pytest.param(
            ["--format", "bag", "--rate", "nan"], "number of frames a second", id="no rate"
        ),
        pytest.param(["--format", "bag", "--storage", "x"], "invalid choice: 'x'", id="storage"),
    ],
)
def test_wrong_options_are_one_line(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["synthesize", str(tmp_path / "out"), *words])
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        pytest.param(
            ["--format", "cityscapes", "--frames", "31"],
            "give a multiple of 30",
            id="half a snippet",
        ),
        pytest.param(
            ["--format", "bag", "--topic", "/x", "--label-topic", "/x"],
            "different ones",
            id="topics",
        ),
        pytest.param(
            ["--format", "bag", "--depth-topic", "/camera/camera_info"],
            "/camera/image_raw, /camera/camera_info, /camera/labels, /camera/camera_info; give",
            id="camera info",
        ),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    tmp_path: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["synthesize", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_command_knows_the_storages_of_the_writer() -> None:
    """They stand twice, so that `tdnet --help` need not load what writes bags."""
    assert synthesize.STORAGES == STORAGES
    assert synthesize.SNIPPET_FRAMES == SNIPPET_FRAMES
