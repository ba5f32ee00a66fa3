"""`tdnet extract`: frames of videos and bags as pictures."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.media import (
    drive,
    folder_of,
    raw_message,
    read_image,
    read_video,
    write_bag,
    write_video,
)

from tdnet import ClassMap
from tdnet_offline.command import main
from tdnet_offline.datasets import open_dataset
from tdnet_offline.extraction import find_stretches
from tdnet_offline.frames import Frame


def names(folder: Path) -> list[str]:
    return [path.name for path in sorted(folder.iterdir())]


def test_a_bag_becomes_pictures_that_are_named_by_number_and_stamp(tmp_path: Path) -> None:
    images = drive(3)
    messages = [("/camera", raw_message(image, 1000 + i)) for i, image in enumerate(images)]
    bag = write_bag(tmp_path / "bag", messages)
    out = tmp_path / "garden/frames/drive1"
    assert main(["extract", str(bag), str(out), "--topic", "/camera"]) == 0
    assert names(out) == ["000000_1000.png", "000001_1001.png", "000002_1002.png"]
    for path, image in zip(sorted(out.iterdir()), images, strict=True):
        np.testing.assert_array_equal(read_image(path)[..., ::-1], image)
    text = "name: g\nnetwork: 1\nclasses:\n  - {id: 0, name: a, color: [1, 2, 3]}\n"
    (tmp_path / "garden/class_map.yaml").write_text(text, encoding="utf-8")
    (video,) = open_dataset(f"folder:{tmp_path / 'garden'}").videos
    assert video.num_frames == 3


def test_numbers_and_size_of_a_video(tmp_path: Path) -> None:
    video = write_video(tmp_path / "0006R0.mkv", drive(4))
    out = tmp_path / "frames"
    words = ["extract", str(video), str(out), "--name", "0006R0_f%05d", "--first", "-1"]
    assert main([*words, "--size", "24", "32"]) == 0
    assert names(out) == [f"0006R0_f{number:05d}.png" for number in range(3)]
    decoded = read_video(video)
    for number in range(3):
        expected = cv2.resize(decoded[number + 1], (32, 24), interpolation=cv2.INTER_AREA)
        picture = read_image(out / f"0006R0_f{number:05d}.png")[..., ::-1]
        np.testing.assert_array_equal(picture, expected)


def test_refused_frames_do_not_stop_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_of(tmp_path / "in", drive(3))
    (folder / "1.png").write_bytes(b"\x89PNG")
    assert main(["extract", str(folder), str(tmp_path / "out")]) == 1
    assert names(tmp_path / "out") == ["0.png", "2.png"]
    captured = capsys.readouterr()
    assert captured.err.startswith("tdnet: refused 1.png: ")
    assert captured.out.endswith("out: 2 frames written, 1 refused\n")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["none.mp4", "out"], "tdnet: none.mp4: no such file or folder"),
        (["in", "out", "--name", "frame"], "tdnet extract: .*'frame' is not a file name with one"),
        (["in", "out", "--name", "../%d"], "tdnet extract: .*'../%d' is not a file name"),
        (["in", "out", "--size", "0", "9"], "tdnet extract: .*'0' is not a whole number from 1"),
        (
            ["in", "out", "--every", "0"],
            "tdnet extract: .*'0' is not a number of seconds from 0.001",
        ),
        (["in", "out", "--every", "1", "--before", "-1"], "tdnet extract: .*--before"),
        (["in", "out", "--before", "3"], "tdnet: --before .* give --every too"),
        (["in", "out", "--label-topic", "/l"], "tdnet: --label-topic .* give --every too"),
        (["in", "out", "--every", "1", "--first", "0"], "tdnet: --first .* leave out one of them"),
        (
            ["in", "out", "--every", "1", "--label-topic", "/l", "--size", "9", "9"],
            "tdnet: --size does not go with --label-topic",
        ),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["extract", *words])
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    error = capsys.readouterr().err
    assert status == 2
    assert re.match(problem, error)
    assert error.count("\n") == 1


STAMPS = [round(number * 1e8) for number in range(30)]
"""Of frames ten a second, in nanoseconds."""


def bag_of(path: Path, stamps: Sequence[int], broken: int = -1) -> Path:
    """A bag of the frames of `drive`, one with a message that cannot be decoded."""
    frames = zip(drive(len(stamps)), stamps, strict=True)
    messages = [
        ("/camera", raw_message(image, stamp, **({"encoding": "x"} if n == broken else {})))
        for n, (image, stamp) in enumerate(frames)
    ]
    return write_bag(path, messages)


def last_frames(root: Path) -> list[int]:
    """Numbers of the frames to label."""
    return [int(path.stem.partition("_")[0]) for path in sorted(root.glob("to_label/*/*.png"))]


def test_stretches_are_a_data_set_to_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, root = bag_of(tmp_path / "my drive.1", STAMPS), tmp_path / "garden"
    assert main(["extract", str(bag), str(root), "--every", "1", "--before", "3"]) == 0
    videos = [f"my_drive.1-{last:06d}" for last in (3, 13, 23)]
    assert names(root / "frames") == names(root / "to_label") == videos
    images = drive(30)
    for video, last in zip(videos, (3, 13, 23), strict=True):
        stems = [f"{number:06d}_{STAMPS[number]}.png" for number in range(last - 3, last + 1)]
        assert names(root / "frames" / video) == stems
        assert names(root / "to_label" / video) == stems[-1:]
        for number, stem in enumerate(stems, last - 3):
            picture = read_image(root / "frames" / video / stem)[..., ::-1]
            np.testing.assert_array_equal(picture, images[number])
        frame, copy = (root / part / video / stems[-1] for part in ("frames", "to_label"))
        assert copy.read_bytes() == frame.read_bytes()
        # Who draws into one file does not change the other.
        assert not copy.samefile(frame)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "3 stretches of 4 frames" in said
    assert f"tdnet check folder:{root}" in said


def test_clips_of_four_frames_two_apart_fit_unless_told_otherwise(tmp_path: Path) -> None:
    bag = bag_of(tmp_path / "bag", STAMPS)
    assert main(["extract", str(bag), str(tmp_path / "out"), "--every", "1e9"]) == 0
    (video,) = (tmp_path / "out/frames").iterdir()
    assert len(names(video)) == 7


@pytest.mark.parametrize(
    ("stamps", "broken", "expected"),
    [
        # A gap of two seconds before frame 5: frames 2 to 4 and 5 to 7 have one view each.
        ([*STAMPS[:5], *(s + 2 * 10**9 for s in STAMPS[5:])], -1, [2, 7, 12, 17, 22, 27]),
        # The same frame once more after a second: the recording goes round.
        (STAMPS[:10] * 2, -1, [2, 7, 12, 17]),
        # Frame 6 cannot be read, and frame 7 is due.
        (STAMPS[:12], 6, [2, 9]),
    ],
    ids=["gap", "stamp went back", "broken frame"],
)
def test_no_stretch_goes_across_a_break(
    tmp_path: Path, stamps: list[int], broken: int, expected: list[int]
) -> None:
    bag, root = bag_of(tmp_path / "bag", stamps, broken), tmp_path / "out"
    words = ["extract", str(bag), str(root), "--every", "0.5", "--before", "2"]
    assert main(words) == (1 if broken >= 0 else 0)
    assert last_frames(root) == expected
    for video in (root / "frames").iterdir():
        numbers = [int(name[:6]) for name in names(video)]
        assert numbers == list(range(numbers[0], numbers[0] + 3))


def test_a_video_has_times_and_a_folder_counts_as_ten_a_second(tmp_path: Path) -> None:
    video = write_video(tmp_path / "slow.mkv", drive(12), rate=5)
    folder = folder_of(tmp_path / "pictures", drive(12))
    for source, expected in ((video, [1, 6, 11]), (folder, [1, 11])):
        root = tmp_path / f"{source.stem} out"
        words = ["extract", str(source), str(root), "--every", "1", "--before", "1"]
        assert main(words) == 0
        assert last_frames(root) == expected


def test_labels_of_a_bag_come_along_as_ids(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = [np.full((48, 64), number % 19, np.uint8) for number in range(30)]
    messages: list[tuple[str, Any]] = []
    for number, (image, stamp) in enumerate(zip(drive(30), STAMPS, strict=True)):
        messages.append(("/camera", raw_message(image, stamp)))
        if number % 4 == 0:
            ids = truth[number].reshape(-1)
            label = raw_message(truth[number], stamp, encoding="mono8", step=64, data=ids)
            messages.append(("/labels", label))
    bag, root = write_bag(tmp_path / "bag", messages), tmp_path / "out"
    words = ["extract", str(bag), str(root), "--topic", "/camera", "--label-topic", "/labels"]
    assert main([*words, "--every", "1", "--before", "2"]) == 0
    labels = sorted(root.glob("labels/*/*.png"))
    # Only every fourth frame has labels: the first after 0.2 s, then those a second later.
    assert [int(path.stem[:6]) for path in labels] == [4, 16, 28]
    for path in labels:
        number = int(path.stem[:6])
        np.testing.assert_array_equal(read_image(path), truth[number])
        assert (root / "frames" / path.parent.name / path.name).is_file()
    assert not (root / "to_label").exists()
    assert "label the pictures" not in capsys.readouterr().out


def labelled_bag(path: Path, bad: int) -> Path:
    """Ten frames a second, all labelled; the labels of one have an id of no class."""
    messages: list[tuple[str, Any]] = []
    for number, (image, stamp) in enumerate(zip(drive(30), STAMPS, strict=True)):
        ids = np.full(48 * 64, 77 if number == bad else 1, np.uint8)
        lies = {"encoding": "mono8", "step": 64, "data": ids}
        messages += [("/camera", raw_message(image, stamp))]
        messages += [("/labels", raw_message(image, stamp, **lies))]
    return write_bag(path, messages)


def test_labels_that_cannot_be_used_cost_their_stretch_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, root = labelled_bag(tmp_path / "bag", bad=12), tmp_path / "out"
    # The images are the only topic beside the labels.
    words = ["extract", str(bag), str(root), "--label-topic", "/labels", "--before", "2"]
    assert main([*words, "--every", "1"]) == 1
    captured = capsys.readouterr()
    assert re.fullmatch(
        r"tdnet: refused bag: labels of frame 000012_\d+: .* ids .*: 77.*\n", captured.err
    )
    assert "2 stretches of 3 frames, 1 refused; next: tdnet check folder:" in captured.out
    stretches = ["bag-000002", "bag-000022"]
    assert names(root / "frames") == names(root / "labels") == stretches
    nothing = ["extract", str(bag), str(tmp_path / "none"), "--label-topic", "/labels"]
    assert main([*nothing, "--every", "1e9", "--before", "12"]) == 2
    assert "nothing is written, since the labels of all 1 stretches" in capsys.readouterr().err


def test_what_comes_next_works_and_a_class_map_that_is_there_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag, root = labelled_bag(tmp_path / "bag", bad=-1), tmp_path / "out"
    words = ["extract", str(bag), str(root), "--label-topic", "/labels", "--every", "1"]
    assert main(words) == 0
    (todo,) = re.findall(r"next: tdnet (.*)\n", capsys.readouterr().out)
    assert main(todo.split()) == 0
    assert ClassMap.load(root / "class_map.yaml") == ClassMap.load("cityscapes")
    own = "name: own\nnetwork: 2\nclasses:\n"
    own += "  - {id: 0, name: a, color: [1, 2, 3]}\n  - {id: 1, name: b, color: [4, 5, 6]}\n"
    other = tmp_path / "other/class_map.yaml"
    other.parent.mkdir()
    other.write_text(own, encoding="utf-8")
    assert main([*words[:2], str(other.parent), *words[3:]]) == 0
    assert other.read_text(encoding="utf-8") == own


def test_leaving_out_every_frame_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = bag_of(tmp_path / "bag", STAMPS[:20])
    assert main(["extract", str(bag), str(tmp_path / "out"), "--first", "-1000"]) == 2
    assert "--first -1000 leaves out all of its 20 frames" in capsys.readouterr().err


def test_nothing_is_overwritten_and_another_drive_may_join(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "out"
    for name in ("drive", "drive-x"):
        bag = bag_of(tmp_path / name, STAMPS)
        assert main(["extract", str(bag), str(root), "--every", "1"]) == 0
    before = {path: path.read_bytes() for path in root.rglob("*.png")}
    capsys.readouterr()
    assert main(["extract", str(tmp_path / "drive"), str(root), "--every", "2"]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(r"tdnet: .*frames/drive-000006 exists already; remove .*\n", error)
    assert {path: path.read_bytes() for path in root.rglob("*.png")} == before


def test_a_stretch_is_written_wholly_or_not_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path / "in", drive(6))
    # The disk refuses it: with what is added while it is written, the name is too long.
    (folder / "5.png").rename(folder / f"5{'x' * 249}.png")
    root = tmp_path / "out"
    words = ["extract", str(folder), str(root), "--every", "0.3", "--before", "2"]
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert names(root / "frames") == names(root / "to_label") == ["in-000002"]


def test_too_few_frames_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bag = bag_of(tmp_path / "bag", STAMPS[:6])
    assert main(["extract", str(bag), str(tmp_path / "out"), "--every", "1"]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch(r"tdnet: .*bag: no 7 frames without a gap among its 6; .*\n", error)


def test_no_more_than_a_stretch_is_held(tmp_path: Path) -> None:
    alive: list[weakref.ref[Frame]] = []
    most = 0

    def frames() -> Iterator[Frame]:
        nonlocal most
        for number in range(200):
            frame = Frame(str(number), number * 10**8, "", np.zeros((4, 4, 3), np.uint8))
            alive.append(weakref.ref(frame))
            yield frame
            del frame
            most = max(most, sum(reference() is not None for reference in alive))

    lasts = [stretch.number for stretch in find_stretches(frames(), 2.0, 6)]
    assert lasts == list(range(6, 200, 20))
    # The stretch that is being looked at, and the one that grows.
    assert most <= 2 * 7
