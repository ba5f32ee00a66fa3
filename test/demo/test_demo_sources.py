"""The demo with videos, images, compressed and damaged bags, and its errors."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rosbags.rosbag1 import Writer as Rosbag1Writer
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore
from support.demo_run import PARTS, run_demo
from support.media import (
    TYPES,
    compressed_message,
    damage_bag,
    drive,
    folder_of,
    raw_message,
    write_bag,
    write_image,
    write_video,
)

from tdnet import ClassMap, create_model, save_weights
from tdnet.errors import InputError
from tdnet_offline.street import StreetDrive
from tools.demo.camera_bag import CameraBag
from tools.demo.sources import emptied


@pytest.mark.parametrize("arguments", [[], ["--rate", "5"]], ids=["its own rate", "another rate"])
def test_video_is_played(tmp_path: Path, weights: Path, arguments: list[str]) -> None:
    video = write_video(tmp_path / "drive.mp4", drive(12, 90, 160), rate=8)
    run = run_demo(tmp_path / "output", "--video", video, "--weights", weights, *arguments)
    frames = run.summary["frames"]
    assert (run.status, run.complained) == (0, "")
    assert frames["sent"] == 12 == sum(frames[part] for part in PARTS)
    period = 10**9 // (5 if arguments else 8)
    stamps = run.stamps("/tdnet/labels")
    assert len(stamps) == frames["segmented"] > 0
    assert all((stamp - 1_700_000_000 * 10**9) % period == 0 for stamp in stamps)
    assert run.images("/tdnet/labels")[stamps[0]].shape == (90, 160)
    page = run.page()
    assert "Video drive.mp4" in page
    assert page.count("<video ") == 1


def test_frames_that_come_too_fast_are_counted_as_dropped(tmp_path: Path, weights: Path) -> None:
    images = folder_of(tmp_path / "frames", drive(40, 240, 320))
    run = run_demo(tmp_path / "output", "--images", images, "--rate", "100", "--weights", weights)
    frames = run.summary["frames"]
    assert (run.status, run.complained) == (0, "")
    assert frames["sent"] == 40 == sum(frames[part] for part in PARTS)
    assert frames["dropped"] > 0
    stamps = run.stamps("/tdnet/labels")
    assert len(stamps) == frames["segmented"]
    assert all((stamp - 1_700_000_000 * 10**9) % 10_000_000 == 0 for stamp in stamps)
    assert run.summary["score"] is None
    assert run.summary["temporal_consistency"]["labels"] is not None
    assert run.summary["temporal_consistency"]["ground_truth"] is None
    assert "IoU" not in run.page()


def test_compressed_images_and_one_that_is_broken(tmp_path: Path, weights: Path) -> None:
    messages = []
    for index, image in enumerate(drive(8)):
        write_image(tmp_path / "frame.jpg", image)
        data = (tmp_path / "frame.jpg").read_bytes()
        stamp = 10**18 + index * 10**8
        broken = data[:100] if index == 3 else data
        messages.append(("/front/compressed", compressed_message(broken, "jpeg", stamp)))
    bag = write_bag(tmp_path / "bag", messages)
    run = run_demo(tmp_path / "output", "--bag", bag, "--weights", weights)
    frames = run.summary["frames"]
    assert run.status == 0
    assert frames["sent"] == 8 == sum(frames[part] for part in PARTS)
    assert frames["refused"] + frames["dropped"] >= 1
    assert 10**18 + 3 * 10**8 not in run.stamps("/tdnet/labels")
    if frames["refused"]:
        assert "cut off" in run.page()


def test_labels_of_images_that_only_the_node_can_decode_are_scored(
    tmp_path: Path, weights: Path
) -> None:
    messages = []
    for index, image in enumerate(drive(6)):
        stamp, side = 10**18 + index * 2 * 10**8, image.shape[1]
        for topic, encoding in (("/camera/image_raw", "bayer_rggb8"), ("/camera/labels", "mono8")):
            plane = np.ascontiguousarray(image[..., 1] % 19)
            lies = {"encoding": encoding, "step": side, "data": plane.reshape(-1)}
            messages.append((topic, raw_message(image, stamp, **lies)))
    bag = write_bag(tmp_path / "bag", messages)
    run = run_demo(tmp_path / "output", "--bag", bag, "--weights", weights)
    assert (run.status, run.complained) == (0, "")
    assert run.summary["frames"]["segmented"] > 0
    assert run.summary["score"]["frames"] == run.summary["frames"]["segmented"]
    assert run.summary["score"]["class_iou"]
    assert run.summary["temporal_consistency"] == {"labels": None, "ground_truth": None}


def test_a_scene_of_one_class_has_no_boundary_score(tmp_path: Path) -> None:
    model = create_model("psp18-nano", num_classes=19, input_size=(65, 129))
    torch.nn.utils.vector_to_parameters(
        torch.zeros(sum(p.numel() for p in model.parameters())), model.parameters()
    )
    weights = tmp_path / "road.safetensors"
    save_weights(model, weights, class_map=ClassMap.load("cityscapes"))
    messages, road = [], np.zeros(90 * 160, np.uint8)
    for number, image in enumerate(drive(4, 90, 160), 1):
        lies = {"encoding": "mono8", "step": 160, "data": road}
        messages.append(("/image", raw_message(image, number * 10**8)))
        messages.append(("/camera/labels", raw_message(image, number * 10**8, **lies)))
    bag = write_bag(tmp_path / "bag", messages)
    run = run_demo(tmp_path / "output", "--bag", bag, "--weights", weights)
    assert (run.status, run.complained) == (0, "")
    assert run.summary["score"]["pixel_accuracy"] == 1
    assert run.summary["score"]["boundary_f"] is None
    assert "boundary F-score" not in run.page()


def test_damaged_bag_is_played_as_far_as_it_goes(
    tmp_path: Path, street: Path, weights: Path
) -> None:
    bag = shutil.copytree(street, tmp_path / "bag")
    damage_bag(bag, StreetDrive(1_000_007, (90, 160), 10.0).frame(11).image.tobytes())
    run = run_demo(tmp_path / "output", "--bag", bag, "--weights", weights)
    assert run.status == 1
    assert re.search(r"^demo: .*damaged after \d+ frames", run.complained)
    frames = run.summary["frames"]
    assert frames["sent"] == sum(frames[part] for part in PARTS) == 11
    assert "What went wrong" in run.page()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--bag", "missing"], "missing: no such bag"),
        (["--bag", "{bag}", "--topic", "/rear"], "image topics in this bag: /camera/image_raw"),
        (["--images", "missing"], "missing: no such file or folder"),
        (["--video", "missing.mp4"], "missing.mp4: no such file or folder"),
        (["--video", "{weights}"], "not a video that FFmpeg can read"),
        (["--topic", "/rear"], "give --bag too"),
        (["--bag", "{bag}", "--rate", "0"], "--rate: '0' is not a number from 0.1 to 1000"),
        (["--bag", "{bag}", "--variant", "td9"], "unknown variant 'td9'; valid: "),
        (["--bag", "{bag}", "--weights", "missing"], "missing: does not exist"),
        (
            ["--bag", "{bag}", "--weights", "{weights}", "--variant", "psp18-nano"],
            "it fits variant 'td4-psp18-nano'",
        ),
    ],
    ids=[
        "bag",
        "topic",
        "images",
        "video",
        "no video",
        "no bag",
        "rate",
        "variant",
        "no weights",
        "wrong weights",
    ],
)
def test_mistakes_end_with_one_line(
    tmp_path: Path, street: Path, weights: Path, arguments: list[str], says: str
) -> None:
    filled = [argument.format(bag=street, weights=weights) for argument in arguments]
    run = run_demo(tmp_path / "output", *filled)
    assert run.status == 2
    assert says in run.complained
    assert run.complained.startswith("demo: ")
    assert run.complained.count("\n") == 1
    assert not (run.output / "index.html").exists()


def test_nothing_of_an_earlier_run_is_left(tmp_path: Path, street: Path, weights: Path) -> None:
    output = tmp_path / "output"
    for number in (5, 3):
        frames = [("/image", raw_message(f, i * 10**8)) for i, f in enumerate(drive(number), 1)]
        bag = write_bag(tmp_path / f"{number}", frames)
        run = run_demo(output, "--bag", bag, "--weights", weights)
        assert run.summary["frames"]["sent"] == number
        assert len(run.stamps("/tdnet/status")) == run.summary["frames"]["segmented"]
    assert run_demo(output, "--bag", "missing").status == 2


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path: Path, street: Path) -> None:
    mine = tmp_path / "output" / "bag" / "recording" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    run = run_demo(tmp_path / "output", "--bag", street)
    assert run.status == 2
    assert "is not a folder of this demo, or an interrupted one: remove it" in run.complained
    assert "choose another --output" in run.complained
    assert mine.read_text() == "mine"


def test_an_interrupted_removal_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = emptied(tmp_path / "output" / "bag")
    (folder / "input").mkdir()
    (folder / "recording" / "input").mkdir(parents=True)

    def interrupted(path: Path) -> None:
        for file in [path for path in path.iterdir() if path.is_file()]:
            file.unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        emptied(folder)
    monkeypatch.undo()
    assert (folder / "recording").exists()
    assert {path.name for path in emptied(folder).iterdir()} == {".tdnet-demo"}


def test_weights_in_the_output_are_left_alone(tmp_path: Path, street: Path, weights: Path) -> None:
    folder = emptied(tmp_path / "output" / "bag")
    mine = Path(shutil.copy(weights, folder / "mine.safetensors"))
    run = run_demo(tmp_path / "output", "--bag", street, "--weights", mine)
    assert run.status == 2
    assert f"{mine} is in {tmp_path / 'output'}, which is emptied" in run.complained
    assert mine.exists()


@pytest.mark.parametrize("damaged", [b"", b"\0\1\0\0", b"\0\1\0\0\1\2"])
def test_damaged_bytes_of_a_message_are_reported(tmp_path: Path, damaged: bytes) -> None:
    with Writer(tmp_path / "bag", version=8) as writer:
        connection = writer.add_connection("/image", "sensor_msgs/msg/Image", typestore=TYPES)
        message = raw_message(drive(1)[0], 10**18)
        for data in (TYPES.serialize_cdr(message, message.__msgtype__), damaged):
            writer.write(connection, 10**18, data)
    records = CameraBag(tmp_path / "bag").records()
    assert next(records)[0] == 10**18
    with pytest.raises(InputError, match=r"bag: damaged after 1 frames \(.*\); "):
        next(records)


def test_messages_of_a_ros_1_bag_are_those_of_ros_2(tmp_path: Path) -> None:
    old: Any = get_typestore(Stores.ROS1_NOETIC)
    image = drive(1)[0]
    header = old.types["std_msgs/msg/Header"](
        seq=7,
        stamp=old.types["builtin_interfaces/msg/Time"](sec=10**9, nanosec=5),
        frame_id="old camera",
    )
    message = raw_message(image, 0, header=header)
    with Rosbag1Writer(tmp_path / "old.bag") as bag:
        connection = bag.add_connection("/image", message.__msgtype__, typestore=old)
        bag.write(connection, 10**18, old.serialize_ros1(message, message.__msgtype__))
    ((stamp, record),) = CameraBag(tmp_path / "old.bag").records()
    read = TYPES.deserialize_cdr(record.data, record.type)
    assert (stamp, read.header.frame_id) == (10**18 + 5, "old camera")
    assert (read.encoding, read.height, read.width) == ("rgb8", *image.shape[:2])
    np.testing.assert_array_equal(read.data.reshape(image.shape), image)
