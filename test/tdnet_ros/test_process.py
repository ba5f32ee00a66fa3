"""The node as its users start and end it: a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from support.endless_checkpoint import endless_checkpoint
from support.node_process import NodeProcess, lines_until, parameters
from support.ros_graph import Listener, RosGraph, image_message, wait_for

from tdnet import ClassMap, create_model, save_weights
from tools.harness.child_process import end_with_parent

Start = Callable[..., NodeProcess]
# Of a network that needs seconds for its warm-up, or most of one for a frame, on a CPU.
SLOW_WARM_UP = "[769, 1537]"
SLOW_FRAMES = "[1025, 2049]"


def end(process: NodeProcess, number: signal.Signals) -> None:
    """Send a signal; the node must end well, and long before what it is busy with would."""
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert "Traceback" not in output


@pytest.mark.distribution
def test_a_signal_ends_it_while_frames_arrive(
    start_process: Start, graph: RosGraph, weights: str, images: list[np.ndarray]
) -> None:
    process = start_process(*parameters(weights=weights, device="cpu", cameras="[]"))
    lines_until(process, "active: waiting for images on /image")
    labels = Listener(graph.user, Image, "/tdnet/labels", QoSProfile(depth=10))
    camera = graph.camera()
    timer = graph.user.create_timer(
        0.01, lambda: camera.publish(image_message(images[0], time.time()))
    )
    labels.wait(3)
    end(process, signal.SIGTERM)
    graph.user.destroy_timer(timer)


@pytest.mark.distribution
def test_signals_without_end_end_it_too(start_process: Start, weights: str) -> None:
    """As from who presses Ctrl-C until something happens, up to the last moment."""
    process = start_process(*parameters(weights=weights, device="cpu", runtime="torch"))
    lines_until(process, "active: waiting")
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    assert process.returncode == 0


BUSY = """
import sys, threading, time
from rclpy.node import Node
from tdnet_ros.process import run

class Busy(Node):
    def __init__(self, start):
        super().__init__("busy", context=start.context)
        self.create_timer(0.01, self.work)
        threading.Thread(target=time.sleep, args=(300,), daemon=True).start()

    def work(self):
        print("at work in the test", flush=True)
        time.sleep(float(sys.argv[1]))

sys.exit(run(Busy, []))
"""


@pytest.mark.distribution
@pytest.mark.parametrize("seconds", ["300", "0"], ids=["callback", "thread"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_what_would_take_minutes(
    ros: None, seconds: str, number: signal.Signals
) -> None:
    """Whatever cannot be interrupted: a callback of the executor, a thread that still works."""

    def prepare() -> None:
        end_with_parent()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, seconds],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=prepare,
    )
    # Fast DDS may report ports of killed processes before.
    lines_until(process, "at work in the test")
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


def test_a_signal_ends_it_while_it_loads_a_model(start_process: Start, weights: str) -> None:
    process = start_process(
        *parameters(weights=weights, device="cpu", input_size=SLOW_WARM_UP, runtime="torch")
    )
    lines_until(process, "made for another input size")
    end(process, signal.SIGINT)


def test_a_signal_ends_it_and_its_exporter(start_process: Start, tmp_path: Path) -> None:
    weights = tmp_path / "new.safetensors"
    save_weights(create_model("psp18-nano", input_size=(65, 129)), weights)
    process = start_process(*parameters(weights=weights, variant="psp18-nano", device="cpu"))
    lines_until(process, "is exported for ONNX Runtime once")
    threads = Path(f"/proc/{process.pid}/task")
    exporters = wait_for(
        lambda: [pid for file in threads.glob("*/children") for pid in file.read_text().split()],
        "the exporter",
    )
    end(process, signal.SIGTERM)
    for pid in exporters:
        wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "the exporter to end")


def test_a_signal_ends_it_in_the_middle_of_a_frame(
    start_process: Start, graph: RosGraph, images: list[np.ndarray], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = create_model("psp18-nano", num_classes=19, input_size=(65, 129))
    save_weights(model, tmp_path / "psp18.safetensors", class_map=ClassMap.load("cityscapes"))
    process = start_process(
        *parameters(
            weights=tmp_path / "psp18.safetensors",
            variant="psp18-nano",
            device="cpu",
            input_size=SLOW_FRAMES,
            runtime="torch",
        )
    )
    lines_until(process, "active: waiting")
    labels = Listener(graph.user, Image, "/tdnet/labels", QoSProfile(depth=10))
    camera = graph.camera()
    # Twenty frames a second: one waits whenever another is answered.
    timer = graph.user.create_timer(
        0.05, lambda: camera.publish(image_message(images[0], time.time()))
    )
    labels.wait(1)
    end(process, signal.SIGTERM)
    graph.user.destroy_timer(timer)


@pytest.mark.parametrize("changed", ["input_size", "weights"])
def test_a_signal_ends_it_while_it_swaps_models(
    start_process: Start,
    graph: RosGraph,
    weights: str,
    images: list[np.ndarray],
    changed: str,
    tmp_path: Path,
) -> None:
    process = start_process(*parameters(weights=weights, device="cpu", runtime="torch"))
    lines_until(process, "active: waiting")
    labels = Listener(graph.user, Image, "/tdnet/labels", QoSProfile(depth=10))
    camera = graph.camera()
    timer = graph.user.create_timer(
        0.05, lambda: camera.publish(image_message(images[0], time.time()))
    )
    client = graph.user.create_client(SetParameters, "/tdnet/set_parameters")
    assert client.wait_for_service(20)
    slow = {
        "input_size": [769, 1537],
        "weights": str(endless_checkpoint(tmp_path / "endless.pth")),
    }
    change = Parameter(changed, value=slow[changed]).to_parameter_msg()
    answer = client.call_async(SetParameters.Request(parameters=[change]))
    if changed == "input_size":
        lines_until(process, "made for another input size")
    labels.wait(len(labels.messages) + 2)  # the old model goes on
    assert not answer.done()
    end(process, signal.SIGTERM)
    graph.user.destroy_timer(timer)
    graph.user.destroy_client(client)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (parameters(**{"overlay.alpha": 7.5}), "overlay.alpha"),
        (parameters(variant="td5"), "unknown variant 'td5'"),
        pytest.param(
            ["--params-file", "nowhere.yaml"], "nowhere.yaml", marks=pytest.mark.distribution
        ),
    ],
    ids=["range", "choice", "file"],
)
def test_what_cannot_start_ends_with_one_line(
    start_process: Start, arguments: list[str], part: str
) -> None:
    process = start_process(*arguments)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    fatal = [line for line in output.splitlines() if "[FATAL]" in line]
    assert len(fatal) == 1
    assert part in fatal[0]
    assert "Traceback" not in output


def test_missing_weights_leave_it_waiting_to_be_mended(start_process: Start) -> None:
    process = start_process(*parameters(weights="nowhere.safetensors"))
    lines = lines_until(process, "cannot configure")
    assert "nowhere.safetensors" in lines[-1]
    end(process, signal.SIGINT)


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")]
)
def test_threads_of_the_network_sleep_while_they_wait(
    start_process: Start,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    expected: str,
) -> None:
    """As PyTorch's OpenMP reports when the node loads it."""
    for name, value in {"OMP_WAIT_POLICY": "", "OMP_DISPLAY_ENV": "TRUE", **given}.items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    process = start_process(*parameters(weights="nowhere.safetensors"))
    lines = "".join(lines_until(process, "cannot configure"))
    assert re.search(rf"OMP_WAIT_POLICY\s*=\s*'{expected}'", lines), lines


def test_an_import_leaves_the_environment_alone() -> None:
    code = "import os, tdnet_ros.segment_node; assert 'OMP_WAIT_POLICY' not in os.environ"
    left = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=left, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
