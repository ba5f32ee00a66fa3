"""`tdnet check`: counts, shares, what is missing, exit status."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from support.labelled import picture, write_labels
from support.media import read_image, write_image

from tdnet_offline.command import main
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


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["street:0", "--split", "training"], "unknown split 'training'; valid: train, val, test"),
        (["steet:0"], "unknown data set 'steet'; valid: cityscapes, .*Did you mean 'street'?"),
        (["street:0", "--length", "0"], "--length 0: a clip has 1 frame or more"),
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
