"""Node, `predict` and `evaluate` compute the same labels for the same images in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from support.media import compressed_message, drive, raw_message, write_bag, written
from support.ros_graph import RosGraph, pixels_of, wait_for
from support.small_weights import small_weights

from tdnet_offline.bags import open_bag
from tdnet_offline.command import main
from tdnet_offline.evaluation.evaluation_file import load_evaluation
from tdnet_ros.msg import SegmentationStatus

# An unbroken view, a stamp that goes back, and a gap: the memory is reset twice.
SECONDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.15, 0.25, 0.35, 5.0, 5.1, 5.2, 5.3)
RESETS = {0: "activated", 6: "stamp went back", 9: "gap"}
# Two seconds per frame: the automatic limit follows after three gaps; then a break of the view.
SLOW_SECONDS = (*(2.0 * index for index in range(8)), 44.0, 46.0)
SLOW_RESETS = {0: "activated", 1: "gap", 2: "gap", 3: "gap", 8: "gap"}


@pytest.fixture(scope="module")
def weights() -> Path:
    return small_weights()


def message(encoding: str, image: np.ndarray, stamp_ns: int) -> Any:
    """Return a camera message in one of the encodings of drivers."""
    if encoding in ("jpeg", "png"):
        _, data = cv2.imencode(f".{encoding}", image[..., ::-1])
        return compressed_message(data.tobytes(), encoding, stamp_ns)
    if encoding == "bgr8":
        return raw_message(np.ascontiguousarray(image[..., ::-1]), stamp_ns, encoding="bgr8")
    if encoding == "mono8":
        grey = np.ascontiguousarray(image[..., 0])
        return raw_message(
            image, stamp_ns, encoding="mono8", step=grey.shape[1], data=grey.reshape(-1)
        )
    padded = np.pad(image.reshape(image.shape[0], -1), ((0, 0), (0, 5)))
    return raw_message(image, stamp_ns, step=padded.shape[1], data=padded.reshape(-1))


def labels_message(labels: np.ndarray, stamp_ns: int) -> Any:
    """Return labels as an Image in the encoding of recordings."""
    data = np.ascontiguousarray(labels).reshape(-1)
    return raw_message(labels, stamp_ns, encoding="mono8", step=labels.shape[1], data=data)


@pytest.mark.parametrize(
    ("encoding", "runtime"),
    [
        ("rgb8, padded", "auto"),
        ("bgr8", "torch"),
        ("mono8", "torch"),
        ("jpeg", "torch"),
        ("png", "torch"),
    ],
)
def test_every_pixel(
    graph: RosGraph, weights: Path, tmp_path: Path, encoding: str, runtime: str
) -> None:
    found = compare(graph, weights, tmp_path, encoding, (47, 61), SECONDS, runtime)
    assert found == RESETS


def test_every_pixel_of_a_slow_camera(graph: RosGraph, weights: Path, tmp_path: Path) -> None:
    found = compare(graph, weights, tmp_path, "bgr8", (48, 64), SLOW_SECONDS)
    assert found == SLOW_RESETS


def compare(
    graph: RosGraph,
    weights: Path,
    tmp_path: Path,
    encoding: str,
    size: tuple[int, int],
    seconds: tuple[float, ...],
    runtime: str = "auto",
) -> dict[int, str]:
    """Compare node, `predict` and `evaluate`; return why the memory was reset, by frame."""
    compressed = encoding in ("jpeg", "png")
    topic = "/image/compressed" if compressed else "/image"
    images = drive(len(seconds), *size)
    stamps = [10**18 + round(second * 1e9) for second in seconds]
    sent = [message(encoding, image, stamp) for image, stamp in zip(images, stamps, strict=True)]
    bag = write_bag(tmp_path / "bag", [(topic, item) for item in sent])

    graph.start(
        weights=str(weights),
        device="cpu",
        runtime=runtime,
        image_transport="compressed" if compressed else "raw",
    )
    wait_for(lambda: graph.state() == "active", "the node with its export", 120)
    labels = graph.listen(Image, "/tdnet/labels")
    status = graph.listen(SegmentationStatus, "/tdnet/status")
    camera = graph.camera(CompressedImage if compressed else Image, topic)
    with open_bag(bag) as opened:
        for index, record in enumerate(opened.records([topic])):
            camera.publish(record.data)  # byte for byte what `predict` reads
            status.wait(index + 1)
    published = labels.wait(len(seconds))

    network = f"--weights {weights} --device cpu --runtime {runtime}"
    assert main(f"predict {bag} --output {tmp_path} {network}".split()) == 0

    predicted = written(tmp_path)
    assert len(predicted) == len(seconds)
    for index, (stamp, answer) in enumerate(zip(stamps, published, strict=True)):
        assert answer.header.stamp.sec * 10**9 + answer.header.stamp.nanosec == stamp
        np.testing.assert_array_equal(pixels_of(answer), predicted[f"{index:06d}_{stamp}"])
    # With the node's labels as ground truth, `evaluate` finds no wrong pixel.
    truth = [
        ("/labels", labels_message(pixels_of(answer), stamp))
        for answer, stamp in zip(published, stamps, strict=True)
    ]
    labelled = write_bag(tmp_path / "labelled", [*((topic, item) for item in sent), *truth])
    words = f"evaluate {labelled} --topic {topic} --label-topic /labels --report {tmp_path}"
    assert main(f"{words} {network}".split()) == 0
    frames = load_evaluation(tmp_path / "evaluation.json").frames
    assert [frame.pixel_accuracy for frame in frames] == [1.0] * len(seconds)

    # Labels of one class, or of an unused memory, would always be equal.
    assert len(np.unique(np.stack(list(predicted.values())))) > 2
    assert max(entry.memory_frames for entry in status.messages) == 3
    return {
        index: entry.reset_reason
        for index, entry in enumerate(status.messages)
        if entry.reset_reason
    }
