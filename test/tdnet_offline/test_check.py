"""`tdnet check`: counts, shares, what is missing, exit status."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from support.dataset_trees import add_camvid
from support.labelled import picture, write_labels
from support.media import SECOND, damage_bag, raw_message, read_image, write_bag, write_image
from support.videos import MemoryVideo, dataset_of

from tdnet import ClassMap
from tdnet_offline.command import main
from tdnet_offline.datasets import Dataset
from tdnet_offline.datasets.cityscapes import read_label_ids
from tdnet_offline.datasets.inspection import find_missing, inspect_dataset, places_to_read
from tdnet_offline.datasets.picture_files import FileVideo
from tdnet_offline.street import StreetDrive
from tdnet_offline.street_bag import write_street_bag

CLASS_MAP = """\
name: garden
network: 3
classes:
  - {id: 0, name: grass, color: [0, 160, 0]}
  - {id: 1, name: path, color: [200, 180, 120]}
  - {id: 2, name: hose, color: [255, 0, 0]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A video of 10 frames; frames 2, 5 and 8 have labels, half path, a quarter grass, no hose."""
    (tmp_path / "class_map.yaml").write_text(CLASS_MAP, encoding="utf-8")
    labels = np.full((8, 8), 1, np.uint8)
    labels[:2], labels[2:4] = 0, 255
    for frame in range(10):
        write_image(tmp_path / f"frames/drive/{frame:03d}.png", picture(frame, 8, 8))
    for frame in (2, 5, 8):
        write_labels(tmp_path / f"labels/drive/{frame:03d}.png", labels)
    return tmp_path


def test_counts_and_shares(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"folder:{folder}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"folder:{folder}, not divided into splits; class map garden",
        "1 video, 10 frames, 3 labelled",
        "2 clips of 4 frames, 1 apart; not enough frames before 1 of the labelled ones",
        "1 clip of 4 frames, 2 apart; not enough frames before 2 of the labelled ones",
        "read 6 frames (height x width: 6 of 8 x 8)",
        "read 3 labels; share of their pixels by class:",
        "    0 grass    25.00%",
        "    1 path     50.00%",
        "    2 hose      0.00%  (none)",
        "  255 ignored  25.00%",
    ]


def test_samples_are_pictures_of_the_labels(folder: Path, tmp_path: Path) -> None:
    assert main(["check", f"folder:{folder}", "--samples", str(tmp_path / "look")]) == 0
    names = [path.name for path in sorted((tmp_path / "look").iterdir())]
    assert names == [f"drive_{index:06d}.png" for index in (2, 5, 8)]
    overlay = read_image(tmp_path / "look/drive_000002.png")[..., ::-1].astype(int)
    image = picture(2, 8, 8).astype(int)
    np.testing.assert_array_equal(overlay[2:4], image[2:4])
    np.testing.assert_allclose(overlay[5:], (image[5:] + np.array([200, 180, 120])) / 2, atol=2)


def test_a_sample_does_not_see_what_all_frames_show(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(folder / "frames/drive/009.png", picture(9, 8, 9))
    (folder / "frames/drive/006.png").write_bytes(b"\x89PNG damaged")
    assert main(["check", f"folder:{folder}"]) == 0
    capsys.readouterr()
    assert main(["check", f"folder:{folder}", "--all"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "read 9 frames (height x width: 8 of 8 x 8, 1 of 8 x 9)" in lines
    assert "  training on sizes that differ needs a frame size" in lines
    (problem,) = [line for line in lines if line.startswith("problem: ")]
    assert problem.startswith(f"problem: {folder}/frames/drive/006.png: ")


def test_missing_files_are_counted_by_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "street"
    words = ["synthesize", str(root), "--format", "cityscapes", "--frames", "60"]
    assert main([*words, "--size", "32", "48"]) == 0
    for frame in (3, 15, 18):
        name = f"street1/street1_000000_{frame:06d}_leftImg8bit.png"
        (root / "leftImg8bit_sequence/train" / name).unlink()
    capsys.readouterr()
    assert main(["check", f"cityscapes:{root}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "2 videos, 60 frames at 17.0 a second, 2 labelled"
    assert lines[2].startswith("1 clip of 4 frames, 1 apart; not enough")
    assert lines[3].startswith("1 clip of 4 frames, 2 apart; not enough")
    where = root / "leftImg8bit_sequence/train/street1"
    assert f"missing: 3 files in {where}, such as street1_000000_000003_leftImg8bit.png" in lines
    assert lines[-1].startswith("missing altogether: 3 files; https://www.cityscapes-dataset.com")


def test_labels_that_cannot_be_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_labels(folder / "labels/drive/005.png", np.full((8, 8), 9, np.uint8))
    assert main(["check", f"folder:{folder}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith(f"problem: {folder}/labels/drive/005.png: 64 pixels have ids")
    for frame in (2, 5, 8):
        write_labels(folder / f"labels/drive/{frame:03d}.png", np.full((8, 8), 9, np.uint8))
    assert main(["check", f"folder:{folder}"]) == 2
    assert capsys.readouterr().out.endswith("nothing can be used: no labels could be read\n")


def test_no_labels_at_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "labels").rename(folder / "masks")
    assert main(["check", f"folder:{folder}"]) == 2
    assert "1 video, 10 frames, 0 labelled" in capsys.readouterr().out


def test_no_clip_of_the_length(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"folder:{folder}", "--length", "10"]) == 2
    assert capsys.readouterr().out.endswith("no clip of 10 frames; see --length\n")
    assert main(["check", f"folder:{folder}", "--length", "9"]) == 0


def test_bags_and_class_maps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = tmp_path / "bag"
    write_street_bag(bag, StreetDrive(3, (32, 48)), 4)
    words = ["check", str(bag), "--topic", "/camera/image_raw", "--label-topic", "/camera/labels"]
    assert main([*words, "--length", "2", "--class-map", "cityscapes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "1 video, 4 frames at 17.0 a second, 4 labelled"
    assert lines[2].startswith("3 clips of 2 frames, 1 apart; not enough")
    assert main([*words, "--class-map", "camvid"]) == 2


def test_a_damaged_bag_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drive = StreetDrive(3, (64, 96))
    write_street_bag(tmp_path / "bag", drive, 6)
    damage_bag(tmp_path / "bag", drive.frame(5).image.tobytes())
    words = ["--topic", "/camera/image_raw", "--label-topic", "/camera/labels"]
    assert main(["check", str(tmp_path / "bag"), *words]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("1 video, 5 frames ")
    assert lines[-1].startswith("problem: bag: the bag is damaged, nothing is read")


def test_breaks_of_a_recording_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = []
    for seconds in (100, 101, 105, 106, 107):
        ids = np.zeros((6, 8), np.uint8)
        lies = {"encoding": "mono8", "step": 8, "data": ids.reshape(-1)}
        messages.append(("/camera", raw_message(picture(0), seconds * SECOND)))
        messages.append(("/labels", raw_message(picture(0), seconds * SECOND, **lies)))
    bag = write_bag(tmp_path / "bag", messages)
    words = ["check", str(bag), "--label-topic", "/labels", "--length", "2"]
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == (
        "1 break (a pause of more than a second, a stamp that goes back, or another frame id); "
        "no clip goes across"
    )
    assert lines[3].startswith("3 clips of 2 frames, 1 apart; not enough frames before 2 of")
    assert lines[4].startswith("1 clip of 2 frames, 2 apart; not enough frames before 4 of")


def test_one_damaged_picture_does_not_end_the_check_of_camvid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_camvid(tmp_path, "0006R0", [930, 960], [*range(920, 935), *range(954, 961)])
    damaged = tmp_path / "frames/0006R0/0006R0_f00932.png"
    damaged.write_bytes(b"\x89PNG broken")
    add_camvid(tmp_path, "0016E5", [960], list(range(954, 961)))
    assert main(["check", f"camvid:{tmp_path}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    (problem,) = [line for line in lines if line.startswith("problem: ")]
    assert problem.startswith(f"problem: {damaged}: ")
    (note, other) = [line for line in lines if line.startswith("note: ")]
    assert note.startswith(f"note: {tmp_path}/frames/0006R0: its numbers could not be compared")
    assert other.startswith(f"note: {tmp_path}/frames/0016E5: its numbers could not be compared")


def test_many_missing_files_take_no_longer_one_by_one(tmp_path: Path) -> None:
    times = []
    for count in (500, 4000):
        paths = [tmp_path / f"leftImg8bit_sequence/train/aachen/{n:06d}.png" for n in range(count)]
        video = FileVideo("aachen", paths, {}, read_label_ids)
        dataset = Dataset("mine", "", "", ClassMap.load("cityscapes"), (video,))
        started = time.process_time()
        missing, places = find_missing(dataset)
        inspection = inspect_dataset(dataset, missing, everything=True)
        times.append((time.process_time() - started) / count)
        assert (len(missing), len(places), inspection.problems) == (count, count, [])
    # Were each compared with all others, eight times as many would take eight times as long.
    assert times[1] < 3 * times[0]


@pytest.mark.parametrize("labelled", [[3, 0, 30], [19, 1], [0, 0], [1, 2, 3]])
def test_the_sample_is_spread_over_all_labels(labelled: list[int]) -> None:
    picture = np.zeros((2, 2, 3), np.uint8)
    videos = [
        MemoryVideo(str(n), [picture] * 40, dict.fromkeys(range(5, 5 + count), picture[..., 0]))
        for n, count in enumerate(labelled)
    ]
    every = [(v, i) for v, video in enumerate(videos) for i in video.labelled]
    places = places_to_read(dataset_of(*videos), everything=False)
    assert len(places) == min(20, len(every))
    assert set(places) <= set(every)
    assert places == sorted(set(places))
    assert not every or (places[0], places[-1]) == (every[0], every[-1])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["street:0", "--split", "training"], "unknown split 'training'; valid: train, val, test"),
        (["steet:0"], "unknown data set 'steet'; valid: cityscapes, .*Did you mean 'street'?"),
        (["folder:/none"], "folder:/none: no such folder"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *words]) == 2
    error = capsys.readouterr().err
    assert re.match(f"tdnet: {problem}", error)
    assert error.count("\n") == 1
