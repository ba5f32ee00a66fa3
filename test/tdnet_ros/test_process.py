"""The node as its users start and end it: a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from support.ros_graph import Listener, RosGraph, image_message, wait_for

from tdnet import ClassMap, create_model, save_weights

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(ros: None) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tdnet_ros.segment_node", "--ros-args", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def parameters(**values: object) -> list[str]:
    return [text for name, value in values.items() for text in ("-p", f"{name}:={value}")]


def lines_until(process: subprocess.Popen[str], part: str) -> list[str]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if part in line:
            return lines
    raise AssertionError(f"ended without {part!r}: {lines}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_status_0(
    start: Start, graph: RosGraph, weights: str, images: list[np.ndarray], number: int
) -> None:
    process = start(
        *parameters(weights=weights, device="cpu", cameras="[]"),
        *("-r", "image:=/driver/image_raw", "-r", "__ns:=/robot", "-r", "__node:=eyes"),
    )
    lines_until(process, "active: waiting for images on /driver/image_raw")
    labels = Listener(graph.user, Image, "/robot/eyes/labels", QoSProfile(depth=10))
    camera = graph.camera(topic="/driver/image_raw")

    def answered() -> bool:
        camera.publish(image_message(images[0], time.time()))
        return bool(labels.messages)

    wait_for(answered, "labels")
    process.send_signal(number)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in output


def test_a_signal_ends_it_in_the_middle_of_a_frame(
    start: Start,
    graph: RosGraph,
    images: list[np.ndarray],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Of a network that takes about a second for a frame on the CPU."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("large") / "psp18.safetensors"
    model = create_model("psp18", num_classes=19, input_size=(129, 257))
    save_weights(model, path, class_map=ClassMap.load("cityscapes"))
    process = start(
        *parameters(
            weights=path,
            variant="psp18",
            device="cpu",
            input_size="[513, 1025]",
            idle_without_subscribers="false",
        )
    )
    lines_until(process, "active: waiting")
    camera = graph.camera()
    for index in range(3):
        camera.publish(image_message(images[index], index / 10))
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (parameters(**{"overlay.alpha": 7.5}), "overlay.alpha"),
        (parameters(variant="td5"), "unknown variant 'td5'"),
        (["--params-file", "nowhere.yaml"], "nowhere.yaml"),
    ],
    ids=["range", "choice", "file"],
)
def test_what_cannot_start_ends_with_one_line(
    start: Start, arguments: list[str], part: str
) -> None:
    process = start(*arguments)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    fatal = [line for line in output.splitlines() if "[FATAL]" in line]
    assert len(fatal) == 1
    assert part in fatal[0]
    assert "Traceback" not in output


def test_missing_weights_leave_it_waiting_to_be_mended(start: Start) -> None:
    process = start(*parameters(weights="nowhere.safetensors"))
    lines = lines_until(process, "cannot configure")
    assert "nowhere.safetensors" in lines[-1]
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
