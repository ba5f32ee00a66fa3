"""Parameters that would block, fill or end the node are refused in one line, and it goes on."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sensor_msgs.msg import Image
from support.ros_graph import RosGraph, image_message, wait_for

MEGABYTE = "x" * 10**6


@pytest.fixture
def pipe(tmp_path: Path) -> str:
    os.mkfifo(tmp_path / "pipe")
    return str(tmp_path / "pipe")


def test_hostile_values_are_refused_and_the_node_goes_on(
    active: RosGraph, pipe: str, images: list[np.ndarray]
) -> None:
    values: dict[str, list[Any]] = {
        "weights": [pipe, "/dev/zero", "/proc/self/maps", MEGABYTE, "\x1b[2J"],
        "class_map": [pipe, "/dev/zero", "/proc/self/maps", MEGABYTE, "\x1b[2J"],
        "variant": [MEGABYTE],
        "device": [MEGABYTE, "cuda:" + "9" * 10**6],
        "precision": [MEGABYTE],
        "runtime": [MEGABYTE, "tensorrt"],
        "provider": [MEGABYTE, "tensorrt", "dml"],
        "smoothing": [math.nan, 2.0],
        "input_size": [[8193, 8193], [2**62, 2**62], [0] * 10**5],
        "output_size": ["16384, 16384", "9" * 10**5 + ", 1", MEGABYTE],
        "cameras": [[f"camera{number}" for number in range(1000)], [MEGABYTE]],
        "overlay.hidden_classes": [[MEGABYTE] * 5],
        "overlay.alpha": [math.nan],
        "confidence_threshold": [math.nan, -0.1],
        "memory.max_gap": [math.nan, math.inf],
        "max_rate": [math.nan, -1.0],
        "diagnostics_period": [math.nan, 0.0],
        "jpeg_quality": [2**62, MEGABYTE],
        "front.output_size": ["1, 1"],
        MEGABYTE: ["a"],
    }
    for name, hostile in values.items():
        for value in hostile:
            (result,) = active.set_parameters(**{name.replace(".", "__"): value})
            assert not result.successful, name
            assert result.reason, name
            if name != MEGABYTE:  # refused by ROS itself
                assert result.reason.isprintable(), name
                assert len(result.reason) <= 500, name
    assert active.state() == "active"
    labels, camera = active.listen(Image, "/tdnet/labels"), active.camera()
    camera.publish(image_message(images[0]))
    assert labels.wait()


@pytest.mark.parametrize("name", ["weights", "class_map"])
def test_a_node_that_starts_with_a_pipe_for_a_file_says_so(
    graph: RosGraph, weights: str, pipe: str, name: str
) -> None:
    node = graph.start(**{"weights": weights, "device": "cpu", "autostart": False, name: pipe})
    log = graph.listen_to_log()
    assert not graph.transition("configure")
    assert "a pipe, a device or the like" in log.wait_for_text("cannot configure")
    wait_for(lambda: graph.state() == "unconfigured", f"{node.get_name()} to be unconfigured")
