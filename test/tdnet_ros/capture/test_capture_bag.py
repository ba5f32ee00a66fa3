"""`tdnet extract --captured` reads what the node writes."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import cv2
import numpy as np
import pytest
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from support.ros_graph import stamp

from tdnet.settings import SegmenterSettings
from tdnet_offline.command import main
from tdnet_offline.street import StreetDrive
from tdnet_offline.street_bag import write_street_bag
from tdnet_ros.capture.capture_bag import Capture, prepare, write
from tdnet_ros.capture.ring_buffer import RawFrame
from tdnet_ros.capture.rules import Reason
from tdnet_ros.parameter_groups import CaptureSettings

FRAMES, CAPTURED = 12, 9
MOMENT_NS = 1_764_532_565_678_900_000


@pytest.fixture
def images() -> list[np.ndarray]:
    drive = StreetDrive(seed=3, size=(48, 64), rate=10.0)
    return [np.asarray(drive.frame(number).image) for number in range(FRAMES)]


def png_capture(images: list[np.ndarray], folder: Path) -> Capture:
    """A capture of PNG images 0.1 s apart, made for one before the newest.

    Where no bytes are delivered, a frame is the message itself, as every other one is here.
    """
    frames = []
    for number, image in enumerate(images):
        data = array("B", cv2.imencode(".png", image[:, :, ::-1])[1].tobytes())
        header = Header(stamp=stamp(number / 10), frame_id="camera")
        message = CompressedImage(header=header, format="png", data=data)
        wire = serialize_message(message) if number % 2 else message
        frames.append(RawFrame(number, MOMENT_NS + number * 10**8, number * 10**8, wire))
    return Capture(
        camera="front",
        topic="/front/image/compressed",
        message_type="sensor_msgs/msg/CompressedImage",
        reason_topic="/tdnet/front/capture_reason",
        reason=Reason("label_change", "half of them"),
        stamp_ns=CAPTURED * 10**8,
        frames=tuple(frames),
        settings=CaptureSettings(folder=str(folder)),
        model=SegmenterSettings(),
    )


def test_extract_makes_a_stretch_up_to_the_captured_frame(
    tmp_path: Path, images: list[np.ndarray]
) -> None:
    capture = png_capture(images, tmp_path / "captures")
    bag = write(capture)
    assert bag.name == "front-20251130T195606778Z-label_change"
    assert [path.name for path in bag.parent.iterdir()] == [bag.name]
    assert main(["extract", str(bag), str(tmp_path / "garden"), "--captured"]) == 0
    (stretch,) = (tmp_path / "garden/frames").iterdir()
    assert stretch.name == f"{bag.name}-{CAPTURED:06d}"
    pictures = sorted(stretch.iterdir())
    assert len(pictures) == 7
    for path, image in zip(pictures, images[CAPTURED - 6 :], strict=False):
        np.testing.assert_array_equal(cv2.imread(str(path))[:, :, ::-1], image)
    (to_label,) = (tmp_path / "garden/to_label").rglob("*.png")
    assert to_label.name == pictures[-1].name


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--captured"], "not a capture of the node, whose topic .../capture_reason names one"),
        (["--captured", "--every", "1"], "not allowed with argument"),
        (["--captured", "--first", "1"], "--first does not go with --captured; leave out one"),
    ],
)
def test_extract_refuses_what_is_no_capture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    write_street_bag(tmp_path / "drive", StreetDrive(3, (48, 64)), 2)
    topic = ["--topic", "/camera/image_raw"]
    try:
        status = main(
            ["extract", str(tmp_path / "drive"), str(tmp_path / "o"), *topic, *arguments]
        )
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_a_killed_node_leaves_nothing_for_long(tmp_path: Path, images: list[np.ndarray]) -> None:
    old, young = (tmp_path / f".{name}.1.partial" for name in ("old", "young"))
    for folder in (old, young):
        (folder / "bag").mkdir(parents=True)
    os.utime(old, (0, 0))
    says = prepare(png_capture(images, tmp_path).settings)
    assert says == (
        f"captures are written to {tmp_path}, where 0 of capture.quota 1024 MiB are used"
    )
    assert list(tmp_path.iterdir()) == [young]
