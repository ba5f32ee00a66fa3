"""The node as `ros2 launch` starts it: the real launch file, frames in, labels out."""

from __future__ import annotations

import copy
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from ament_index_python.packages import get_package_prefix
from builtin_interfaces.msg import Time
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from support.ros_graph import TIMEOUT, Listener, RosGraph, image_message, pixels_of, wait_for

from tdnet import StreamingSegmenter
from tdnet_ros.msg import SegmentationStatus

pytestmark = pytest.mark.distribution

pytest.importorskip(
    "launch_ros", reason="needs launch_ros, which has no wheels: `make test` on a ROS 2 machine"
)

ROOT = Path(__file__).parents[2]
LAUNCH_FILE = ROOT / "launch" / "segment.launch.py"
# Launches the file and tells, a line of JSON each, which processes started and ended.
RUN = """
import json, sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.launch_description_sources import PythonLaunchDescriptionSource

path, *arguments = sys.argv[1:]

def tell(**what):
    print("TOLD " + json.dumps(what), flush=True)

service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([
    RegisterEventHandler(OnProcessStart(on_start=lambda event, _: tell(pid=event.pid))),
    RegisterEventHandler(OnProcessExit(on_exit=lambda event, _: tell(status=event.returncode))),
    IncludeLaunchDescription(
        PythonLaunchDescriptionSource(path),
        launch_arguments=[argument.split(":=", 1) for argument in arguments],
    ),
]))
sys.exit(service.run())
"""


# Includes the launch file of docs/parameters.md, and brings its node up by events.
DRIVE = """
from launch import LaunchDescription
from launch.actions import EmitEvent, IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessStart
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

def change(transition):
    return EmitEvent(event=ChangeState(
        lifecycle_node_matcher=lambda action: action.node_name == "/robot/segmentation",
        transition_id=transition,
    ))

def generate_launch_description():
    return LaunchDescription([
        RegisterEventHandler(OnProcessStart(
            on_start=[change(Transition.TRANSITION_CONFIGURE)],
        )),
        RegisterEventHandler(OnStateTransition(
            start_state="configuring", goal_state="inactive",
            entities=[change(Transition.TRANSITION_ACTIVATE)],
        )),
        IncludeLaunchDescription("own.launch.py"),
    ])
"""


class Launched:
    """A launch file at work."""

    def __init__(self, *arguments: str, file: Path = LAUNCH_FILE) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(file), *arguments],
            cwd=file.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._told: queue.Queue[dict[str, int]] = queue.Queue()
        self._pids: list[int] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line)
            if line.startswith("TOLD "):
                self._told.put(json.loads(line.removeprefix("TOLD ")))

    def next(self, what: str) -> int:
        """The pid of the next process that starts, or the status of the next that ends."""
        value = self._told.get(timeout=TIMEOUT)[what]
        if what == "pid":
            self._pids.append(value)
        return value

    def interrupt(self) -> int:
        """Ctrl-C; the exit status of the launch."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(TIMEOUT)

    def close(self) -> None:
        """End whatever still runs."""
        self._process.kill()
        self._process.wait()
        for pid in self._pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._reader.join(TIMEOUT)


@pytest.fixture
def launch(ros: None, weights: str) -> Iterator[Any]:
    running: list[Launched] = []
    # The default runtime would export the weights first.
    common = (f"weights:={weights}", "device:=cpu", "runtime:=torch")

    def start(*arguments: str, **options: Path) -> Launched:
        running.append(Launched(*common, *arguments, **options))
        return running[-1]

    yield start
    for launched in running:
        launched.close()


def answers(camera: Publisher, frames: list[Any], listener: Listener) -> list[Any]:
    """What a listener gets for every frame, each sent once the one before it is answered."""
    probe = copy.deepcopy(frames[0])
    probe.header.frame_id = "probe"  # of another view: resets the memory

    def connected() -> bool:
        camera.publish(probe)
        time.sleep(0.1)
        return bool(listener.messages)

    wait_for(connected, f"{listener.topic} of a frame sent again and again")
    got = []
    for frame in frames:
        camera.publish(frame)
        got += wait_for(
            lambda frame=frame: [m for m in listener.messages if m.header == frame.header],
            f"{listener.topic} of the frame {frame.header.stamp}",
        )
    return got


def test_labels_of_the_remapped_camera_until_ctrl_c(
    graph: RosGraph,
    launch: Any,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    tmp_path: Path,
) -> None:
    own = tmp_path / "own.yaml"
    topic = "/driver/image_raw"
    override = f"qos_overrides.{topic}.subscription.reliability"
    own.write_text(yaml.dump({"/**": {"ros__parameters": {override: "reliable"}}}))
    launched = launch(f"image:={topic}", f"params_file:={own}", "namespace:=robot")
    launched.next("pid")
    camera = graph.camera(topic=topic)
    labels = Listener(graph.user, Image, "/robot/tdnet/labels", QoSProfile(depth=10))
    frames = [image_message(image, 100 + i / 10) for i, image in enumerate(images[:5])]
    got = answers(camera, frames, labels)
    for image, frame, answer in zip(images, frames, got, strict=False):
        assert answer.header == frame.header
        np.testing.assert_array_equal(pixels_of(answer), segmenter.step(image).labels)
    assert launched.interrupt() == 0
    assert launched.next("status") == 0
    assert not [line for line in launched.lines if "Traceback" in line]


def test_a_file_that_includes_it_under_a_namespace_and_uses_events(
    graph: RosGraph,
    launch: Any,
    images: list[np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one of the page, with the launch file of this checkout."""
    page = (ROOT / "docs" / "parameters.md").read_text("utf-8")
    (own,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "own.launch.py").write_text(own)
    (tmp_path / "drive.launch.py").write_text(DRIVE)
    for folder in ("share/ament_index/resource_index/packages", "lib"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "share/ament_index/resource_index/packages/tdnet_ros").touch()
    (tmp_path / "share/tdnet_ros").symlink_to(ROOT)
    (tmp_path / "lib/tdnet_ros").symlink_to(Path(get_package_prefix("tdnet_ros"), "lib/tdnet_ros"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path), prepend=os.pathsep)
    launched = launch("autostart:=false", file=tmp_path / "drive.launch.py")
    launched.next("pid")
    camera = graph.camera(topic="/usb/image")
    labels = Listener(graph.user, Image, "/robot/segmentation/rear/labels", QoSProfile(depth=10))
    (answer,) = answers(camera, [image_message(images[0], 100.0)], labels)
    assert pixels_of(answer).shape == images[0].shape[:2]
    wait_for(lambda: any("segmenting" in line for line in launched.lines), "the event")
    assert dict(graph.user.get_topic_names_and_types())["/robot/front/image_raw"]
    assert launched.interrupt() == 0


def test_compressed_images_in_simulated_time(
    graph: RosGraph, launch: Any, images: list[np.ndarray]
) -> None:
    launched = launch(
        "image:=/driver/image_raw", "image_transport:=compressed", "use_sim_time:=true"
    )
    launched.next("pid")
    camera = graph.camera(CompressedImage, "/driver/image_raw/compressed")
    labels = Listener(graph.user, Image, "/tdnet/labels", QoSProfile(depth=10))
    frame = CompressedImage(
        header=Header(stamp=Time(sec=7), frame_id="lens"),
        format="png",
        data=cv2.imencode(".png", images[0])[1].tobytes(),
    )
    (answer,) = answers(camera, [frame], labels)
    assert answer.header == frame.header
    request = GetParameters.Request(names=["use_sim_time", "image_transport"])
    given = graph.call(GetParameters, "/tdnet/get_parameters", request).values
    assert [parameter_value_to_python(value) for value in given] == [True, "compressed"]


def test_a_killed_node_comes_back_with_respawn(
    graph: RosGraph, launch: Any, images: list[np.ndarray]
) -> None:
    launched = launch("respawn:=true")
    killed = launched.next("pid")
    camera = graph.camera()
    status = Listener(graph.user, SegmentationStatus, "/tdnet/status", QoSProfile(depth=10))
    frames = [image_message(images[0], i / 10) for i in range(3)]
    last = answers(camera, frames, status)[-1]
    assert last.memory_frames == 2
    os.kill(killed, signal.SIGKILL)
    assert launched.next("status") == -signal.SIGKILL
    assert launched.next("pid") != killed
    status.messages.clear()
    first, *_ = answers(camera, frames, status)
    assert first.memory_frames == 0
    assert launched.interrupt() == 0
    assert launched.next("status") == 0
