"""The running node captures frames of the drawn street; the bags hold what the cameras sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from rclpy.logging import get_logger
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from support.frame_traces import segmentation_result
from support.full_disk import files_of_at_most
from support.nano import PSP18_NANO
from support.ros_graph import TIMEOUT, RosGraph, image_message, wait_for

from tdnet import SegmenterSettings, StreamingSegmenter
from tdnet_offline.bags import open_bag
from tdnet_offline.frames.bag_images import BagImages
from tdnet_offline.street import StreetDrive
from tdnet_ros.capture.capture_writer import CaptureWriter
from tdnet_ros.capture.captures import CameraCapture
from tdnet_ros.capture.rules import REQUESTED
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.parameter_groups import CaptureSettings
from tdnet_ros.parameters import NodeSettings

CAMERAS = ("front", "rear")
INPUT_SIZE = (129, 257)
RULES_OFF = {
    "capture__low_confidence": 0.0,
    "capture__classes": [],
    "capture__label_change": 0.0,
    "capture__period": 0.0,
    "capture__quota": 100.0,
}


@pytest.fixture(scope="module")
def street() -> list[np.ndarray]:
    drive = StreetDrive(seed=22, size=(90, 160), rate=5.0)
    return [np.asarray(drive.frame(number).image) for number in range(20)]


class Robot:
    """The node with two cameras, whose frames it segments without a memory.

    Attributes:
        sent: of each camera, stamps in nanoseconds and images.
    """

    def __init__(self, graph: RosGraph) -> None:
        self.graph = graph
        self.sent: dict[str, list[tuple[int, np.ndarray]]] = {name: [] for name in CAMERAS}
        self._ticks = count(1)
        graph.start(weights=str(PSP18_NANO), device="cpu", input_size=INPUT_SIZE, cameras=CAMERAS)
        wait_for(lambda: graph.state() == "active", "the node to be active", 120)
        self._labels = {name: graph.listen(Image, f"/tdnet/{name}/labels") for name in CAMERAS}
        self._cameras = {name: graph.camera(topic=f"/{name}/image") for name in CAMERAS}

    def set(self, **values: Any) -> None:
        results = self.graph.set_parameters(**{**RULES_OFF, **values})
        assert all(result.successful for result in results), results

    def send(self, camera: str, image: np.ndarray) -> int:
        """Send a frame and wait for its labels; return its stamp."""
        stamp_ns = next(self._ticks) * 10**8
        self.sent[camera].append((stamp_ns, image))
        self._cameras[camera].publish(image_message(image, stamp_ns / 1e9))
        self._labels[camera].wait(len(self.sent[camera]))
        return stamp_ns

    def capture(self) -> tuple[bool, str]:
        answer = self.graph.call(Trigger, "/tdnet/capture", Trigger.Request())
        return answer.success, answer.message

    def check(self, bag: Path, frames: int, camera: str = "front") -> dict[str, Any]:
        """Check that a bag holds the newest frames that a camera sent; return its reason."""
        read = list(BagImages(bag))
        sent = self.sent[camera][-frames:]
        assert [frame.stamp_ns for frame in read] == [stamp_ns for stamp_ns, _ in sent]
        for frame, (_, image) in zip(read, sent, strict=True):
            np.testing.assert_array_equal(frame.image, image)
        with open_bag(bag) as opened:
            topics = [f"/tdnet/{camera}/capture_reason"]
            assert set(opened.topics) == {f"/{camera}/image", *topics}
            (reason,) = (json.loads(opened.decode(r).data) for r in opened.records(topics))
        assert reason["camera"] == camera
        assert reason["weights"] == str(PSP18_NANO)
        return reason


@pytest.fixture(scope="module")
def robot(ros: None) -> Iterator[Robot]:
    graph = RosGraph()
    yield Robot(graph)
    graph.close()


def bags(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def written(folder: Path) -> bool:
    """Return whether the folder has bags, and none that is being written."""
    names = [path.name for path in bags(folder)]
    return bool(names) and not any(name.startswith(".") for name in names)


def test_off_until_there_is_a_folder(robot: Robot, street: list[np.ndarray]) -> None:
    robot.send("front", street[0])
    success, message = robot.capture()
    assert not success
    assert message.startswith("capture.folder is empty: set it")


def test_a_request_captures_what_no_capture_has(
    robot: Robot, street: list[np.ndarray], tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "captures"
    robot.set(capture__folder=str(folder))
    for image in street[:4]:
        robot.send("front", image)
        robot.send("rear", image[:, ::-1].copy())
    success, message = robot.capture()
    assert success, message
    front, rear = bags(folder)
    assert message.count("4 frames") == 2
    assert str(front) in message
    for bag, camera in ((front, "front"), (rear, "rear")):
        assert bag.name.startswith(f"{camera}-20")
        reason = robot.check(bag, 4, camera)
        assert (reason["rule"], reason["stamp_ns"]) == ("requested", robot.sent[camera][-1][0])

    success, message = robot.capture()
    assert not success
    assert message.startswith("no frame since the last capture")
    robot.send("front", street[4])
    success, message = robot.capture()
    assert success, message
    (newest,) = set(bags(folder)) - {front, rear}
    robot.check(newest, 1)


def test_a_class_that_appears_is_captured_once(
    robot: Robot, street: list[np.ndarray], tmp_path: Path
) -> None:
    settings = SegmenterSettings(
        weights=str(PSP18_NANO), device="cpu", input_size=INPUT_SIZE, runtime="torch"
    )
    segmenter = settings.build()
    labels = [segmenter.step(image).labels for image in street]
    name, appears = next(
        (entry.name, number)
        for number in range(3, len(street))
        for entry in segmenter.class_map.classes
        if np.mean(labels[number][::4, ::4] == entry.id) > 0.003
        and not np.any(np.stack(labels[number - 3 : number]) == entry.id)
    )
    robot.set(capture__folder=str(tmp_path), capture__classes=[name])
    for image in street[appears - 3 : appears + 1]:
        stamp_ns = robot.send("front", image)
    wait_for(lambda: written(tmp_path), "a capture")
    (bag,) = bags(tmp_path)
    reason = robot.check(bag, 4)
    assert (reason["rule"], reason["subject"]) == ("new_class", name)
    assert reason["stamp_ns"] == stamp_ns

    robot.send("front", street[appears - 1])
    robot.send("front", street[appears])
    assert robot.capture()[0]  # written after what a rule demanded
    (other,) = set(bags(tmp_path)) - {bag}
    robot.check(other, 2)


def test_frames_of_low_confidence_are_captured_once_in_a_period(
    robot: Robot, street: list[np.ndarray], tmp_path: Path
) -> None:
    """Nobody subscribes to the confidence."""
    robot.set(capture__folder=str(tmp_path), capture__low_confidence=1.0, capture__period=3600.0)
    for image in street[10:14]:
        robot.send("rear", image)
    wait_for(lambda: written(tmp_path), "a capture")
    robot.set(capture__folder=str(tmp_path))
    assert robot.capture()[0]
    first, second = bags(tmp_path)
    assert first.name.endswith("-low_confidence")
    assert second.name.endswith("-requested")
    # The next frame may have arrived before the rule was applied to the first one.
    captured = len(list(BagImages(first)))
    assert robot.check(second, 4 - captured, "rear")["rule"] == "requested"


def occupy(folder: Path) -> None:
    folder.write_text("not a folder")


def fill(folder: Path) -> None:
    folder.mkdir()
    (folder / "earlier").write_bytes(bytes(1 << 20))


@pytest.mark.parametrize(
    ("values", "before", "limit", "says"),
    [
        ({}, occupy, nullcontext(), "cannot be written (Not a directory): free space, or set"),
        (
            {"capture__quota": 0.1},
            None,
            nullcontext(),
            "a capture of 0.2 MiB does not fit into capture.quota 0.1 MiB: raise it, or",
        ),
        (
            {"capture__quota": 1.1},
            fill,
            nullcontext(),
            "holds 1.0 MiB, and a capture of 0.2 MiB would exceed capture.quota 1.1 MiB: move",
        ),
        ({}, None, files_of_at_most(100_000), "cannot be written (File too large): free space"),
        ({}, None, None, "capture.folder needs the Python package rosbags.rosbag2: pip install"),
    ],
    ids=["no folder", "small quota", "full quota", "full disk", "no package"],
)
def test_what_cannot_be_captured_costs_one_line_and_no_frame(
    robot: Robot,
    street: list[np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: dict[str, float],
    before: Callable[[Path], None] | None,
    limit: AbstractContextManager[None] | None,
    says: str,
) -> None:
    folder = tmp_path / "captures"
    if before is not None:
        before(folder)
    if limit is None:
        limit = nullcontext()
        monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)
    robot.set(capture__folder=str(folder), **values)
    for image in street[:5]:
        robot.send("front", image)
    with limit:
        success, message = robot.capture()
        robot.send("front", street[5])
    assert not success
    assert message.startswith("no capture of /front/image: ")
    assert says in message
    assert "\n" not in message
    assert folder.is_file() or [path.name for path in bags(folder)] in ([], ["earlier"])


def test_a_class_that_the_class_map_lacks_is_refused(robot: Robot) -> None:
    (result,) = robot.graph.set_parameters(capture__classes=["unicorn"])
    assert not result.successful
    assert "capture.classes names 'unicorn', which the class map" in result.reason


class SteppedCamera:
    """The captures of a camera without a node, each step by hand.

    A frame has 1 MiB, is one scene, an id, and meets a rule.
    """

    def __init__(self, segmenter: StreamingSegmenter) -> None:
        settings = NodeSettings()
        self._model = ActiveModel.create(segmenter, settings.segmenter, settings)
        self.writer = CaptureWriter(get_logger("stepped_camera"))
        self.capture = CameraCapture(self.writer, "", "/image", "sensor_msgs/msg/Image", "/why")
        self._stamps = count(1)

    def set(self, folder: Path, *, period: float = 0.0, **values: float) -> None:
        capture = CaptureSettings(str(folder), period=period, low_confidence=1.0, **values)
        self._model = replace(self._model, settings=NodeSettings(capture=capture))

    def receive(self) -> int:
        stamp_ns = next(self._stamps)
        self.capture.received(self._model.settings, bytes(1 << 20), stamp_ns)
        self._finish()
        return stamp_ns

    def segment(self, stamp_ns: int, scene: int) -> None:
        labels = np.full((24, 32), scene, np.uint8)
        result = replace(segmentation_result(), labels=labels, confidence=np.zeros_like(labels))
        self.capture.segmented(self._model, result, stamp_ns, continued=True)
        self._finish()

    def show(self, scene: int) -> None:
        self.segment(self.receive(), scene)

    def _finish(self) -> None:
        """Wait for the work before."""
        done: SimpleQueue[bool] = SimpleQueue()
        self.writer.write([], lambda written, _: done.put(written))
        assert done.get(timeout=TIMEOUT)


@pytest.fixture
def stepped(segmenter: StreamingSegmenter) -> Iterator[SteppedCamera]:
    camera = SteppedCamera(segmenter)
    yield camera
    camera.writer.close()


def test_a_frame_of_a_request_leaves_its_scene_to_the_rules(
    stepped: SteppedCamera, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stepped.set(tmp_path)
    frame = stepped.receive()
    assert stepped.capture.take(REQUESTED) is not None
    stepped.segment(frame, 1)
    assert bags(tmp_path) == []
    assert "no capture" not in capfd.readouterr().err
    stepped.show(1)
    assert len(bags(tmp_path)) == 1


def test_a_frame_discarded_before_it_is_segmented_is_a_warning(
    stepped: SteppedCamera, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    stepped.set(tmp_path, memory=1.0)
    older, newer = stepped.receive(), stepped.receive()
    stepped.segment(older, 1)
    assert bags(tmp_path) == []
    (line,) = (text for text in capfd.readouterr().err.splitlines() if "no capture" in text)
    assert "no capture of /image (mean confidence 0.00" in line
    assert "raise capture.memory, 1 MiB, or capture.seconds, 5" in line
    stepped.segment(newer, 1)
    assert len(bags(tmp_path)) == 1


def test_a_scene_that_was_not_written_is_captured_once_there_is_space(
    stepped: SteppedCamera, tmp_path: Path
) -> None:
    stepped.set(tmp_path, quota=0.5)
    stepped.show(1)
    assert bags(tmp_path) == []
    stepped.set(tmp_path)
    stepped.show(1)
    stepped.show(1)
    assert len(bags(tmp_path)) == 1


def test_another_period_counts_from_the_last_capture_and_another_folder_has_none(
    stepped: SteppedCamera, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    stepped.set(first, period=3600.0)
    stepped.show(1)
    stepped.show(2)
    assert len(bags(first)) == 1
    stepped.set(first)
    stepped.show(2)
    assert len(bags(first)) == 2
    stepped.set(second, period=3600.0)
    stepped.show(3)
    assert len(bags(second)) == 1
