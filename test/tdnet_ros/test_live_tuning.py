"""The model changes on the running node: the stream goes on, and a refusal changes nothing."""

from __future__ import annotations

import gc
import itertools
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from support.ros_graph import (
    LATCHED,
    Listener,
    RosGraph,
    image_message,
    pixels_of,
    wait_for,
)
from vision_msgs.msg import LabelInfo

import tdnet_ros.msg
from tdnet import ClassMap, SegmenterSettings, StreamingSegmenter, create_model, save_weights
from tdnet_ros.msg import SegmentationStatus

STATUS, LABELS = "/tdnet/status", "/tdnet/labels"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Weights files to change to."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(11)
    for name, variant, classes in (
        ("other", "td4-psp18-nano", "cityscapes"),
        ("single", "psp18-nano", "cityscapes"),
        ("indoor", "td4-psp18-nano", "nyudv2"),
        ("large", "psp18", "cityscapes"),
    ):
        class_map = ClassMap.load(classes)
        model = create_model(
            variant, num_classes=class_map.num_network_classes, input_size=(65, 129)
        )
        save_weights(model, folder / f"{name}.safetensors", class_map=class_map)
    (folder / "damaged.safetensors").write_bytes(
        (folder / "other.safetensors").read_bytes()[:-100]
    )
    return {path.name: str(path) for path in folder.iterdir()} | {"": ""}


@contextmanager
def frames_arriving(graph: RosGraph, images: list[np.ndarray]) -> Iterator[dict[int, int]]:
    """A camera of 10 frames a second; gives the number of the image by its stamp in ns."""
    camera = graph.camera()
    sent: dict[int, int] = {}
    ended = threading.Event()

    def run() -> None:
        for count in itertools.count():
            sent[round(count * 0.1 * 1e9)] = count % len(images)
            camera.publish(image_message(images[count % len(images)], count * 0.1))
            if ended.wait(0.1):
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sent
    finally:
        ended.set()
        thread.join()


def stamp_ns(message: Any) -> int:
    return int(message.header.stamp.sec) * 10**9 + int(message.header.stamp.nanosec)


def wait_for_model(status: Listener, variant: str) -> SegmentationStatus:
    """The first status after the swap."""
    return wait_for(
        lambda: next(
            (
                m
                for m in status.messages
                if m.reset_reason == "model changed" and m.variant == variant
            ),
            None,
        ),
        f"a frame of the changed {variant}",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"weights": "other.safetensors"},
        {"variant": "psp18-nano", "weights": "single.safetensors"},
        {"variant": "psp18", "weights": "large.safetensors"},
        {"precision": "bfloat16"},
        {"input_size": [97, 193]},
        {"class_map": "nyudv2", "weights": "indoor.safetensors"},
    ],
    ids=lambda change: " ".join(change),
)
def test_another_model_takes_over_between_two_frames(
    active: RosGraph,
    files: dict[str, str],
    weights: str,
    images: list[np.ndarray],
    change: dict[str, Any],
) -> None:
    change = {n: files.get(v, v) if isinstance(v, str) else v for n, v in change.items()}
    status = active.listen(SegmentationStatus, STATUS)
    labels = active.listen(Image, LABELS)
    info = active.listen(LabelInfo, "/tdnet/label_info", LATCHED)
    with frames_arriving(active, images) as sent:
        status.wait(5)
        before = len(status.messages)
        results = active.set_parameters(**change)
        during = len(status.messages) - before
        assert [(r.successful, r.reason) for r in results] == [(True, "")] * len(change)
        first = wait_for_model(status, change.get("variant", "td4-psp18-nano"))
        status.wait(len(status.messages) + 4)
    labels.wait(len(status.messages))
    if change.get("variant") == "psp18":  # the others may load between two frames
        assert during > 0, "no frame was answered while the model was loaded"
    segmenter = SegmenterSettings(
        **{"weights": weights, "device": "cpu", "runtime": "torch", **_sizes(change)}
    ).build()
    assert [c.class_name for c in wait_for(lambda: info.messages, "names")[-1].class_map] == [
        entry.name for entry in segmenter.class_map.classes
    ]
    by_stamp = {stamp_ns(m): m for m in labels.messages}
    for frame in status.messages[status.messages.index(first) :]:
        expected = segmenter.step(images[sent[stamp_ns(frame)]])
        labelled = pixels_of(by_stamp[stamp_ns(frame)])
        np.testing.assert_array_equal(labelled, expected.labels)
    assert active.get_parameter("weights") == change.get("weights", weights)


def _sizes(change: dict[str, Any]) -> dict[str, Any]:
    return {n: tuple(v) if n == "input_size" else v for n, v in change.items()}


def test_a_refused_model_leaves_the_memory_alone(
    active: RosGraph,
    files: dict[str, str],
    images: list[np.ndarray],
    segmenter: StreamingSegmenter,
) -> None:
    (fixed,) = active.set_parameters(variant="td4-psp18-nano")
    assert fixed.successful
    labels = active.listen(Image, LABELS)
    status = active.listen(SegmentationStatus, STATUS)
    camera = active.camera()
    for number in range(4):
        camera.publish(image_message(images[number], number / 10))
        expected = segmenter.step(images[number])
        np.testing.assert_array_equal(pixels_of(labels.wait(number + 1)[-1]), expected.labels)
        (result,) = active.set_parameters(weights=files["single.safetensors"])
        assert not result.successful
    assert [m.memory_frames for m in status.wait(4)] == [0, 1, 2, 3]


def test_a_file_that_was_replaced_is_loaded_when_it_is_set_again(
    graph: RosGraph, files: dict[str, str], weights: str, images: list[np.ndarray], tmp_path: Path
) -> None:
    path = tmp_path / "latest.safetensors"
    shutil.copyfile(weights, path)
    graph.start(weights=str(path), device="cpu")
    status = graph.listen(SegmentationStatus, STATUS)
    labels = graph.listen(Image, LABELS)
    camera = graph.camera()
    camera.publish(image_message(images[0], 0.0))
    status.wait()
    shutil.copyfile(files["other.safetensors"], path)
    (result,) = graph.set_parameters(max_rate=0.0)
    assert result.successful
    camera.publish(image_message(images[1], 0.1))
    assert status.wait(2)[1].reset_reason == ""
    (result,) = graph.set_parameters(weights=str(path))
    assert result.successful
    camera.publish(image_message(images[2], 0.2))
    assert status.wait(3)[2].reset_reason == "model changed"
    other = SegmenterSettings(
        weights=files["other.safetensors"], device="cpu", runtime="torch"
    ).build()
    np.testing.assert_array_equal(pixels_of(labels.wait(3)[2]), other.step(images[2]).labels)
    (result,) = graph.set_parameters(weights=str(path))
    assert result.successful
    camera.publish(image_message(images[3], 0.3))
    assert status.wait(4)[3].reset_reason == ""


@pytest.mark.distribution
def test_parameters_that_fail_alone_are_set_alone(active: RosGraph, files: dict[str, str]) -> None:
    """As `ros2 param load` sends a file: one request, an answer for each."""
    results = active.set_parameters(
        overlay__alpha=0.25,
        variant="psp18-nano",
        max_rate=-1.0,
        weights=files["single.safetensors"],
    )
    assert [r.successful for r in results] == [True, True, False, True]
    assert active.get_parameter("overlay.alpha") == 0.25
    assert active.get_parameter("variant") == "psp18-nano"
    assert active.get_parameter("max_rate") == 0.0


def test_requests_that_overlap_take_turns(
    active: RosGraph, files: dict[str, str], images: list[np.ndarray]
) -> None:
    client = active.user.create_client(SetParameters, "/tdnet/set_parameters")
    assert client.wait_for_service(20)
    wanted = [
        {"weights": files["other.safetensors"]},
        {"variant": "psp18", "weights": files["large.safetensors"]},
        {"variant": "psp18-nano", "weights": files["single.safetensors"]},
        {"overlay.alpha": 0.125},
    ]
    futures = [
        client.call_async(
            SetParameters.Request(
                parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in change.items()]
            )
        )
        for change in wanted
    ]
    for future in futures:
        wait_for(future.done, "an answer")
        assert all(result.successful for result in future.result().results)
    assert active.get_parameter("variant") == "psp18-nano"
    assert active.get_parameter("overlay.alpha") == 0.125
    status = active.listen(SegmentationStatus, STATUS)
    active.camera().publish(image_message(images[0], 0.0))
    assert status.wait()[0].variant == "psp18-nano"


def test_the_class_topics_follow_while_inactive(active: RosGraph, files: dict[str, str]) -> None:
    assert active.transition("deactivate")
    results = active.set_parameters(weights=files["indoor.safetensors"], class_map="nyudv2")
    assert all(result.successful for result in results), results
    assert active.transition("activate")
    info = active.listen(LabelInfo, "/tdnet/label_info", LATCHED)
    class_map = active.listen(tdnet_ros.msg.ClassMap, "/tdnet/class_map", LATCHED)
    names = [entry.name for entry in ClassMap.load("nyudv2").classes]
    wait_for(lambda: info.messages and class_map.messages, "the class topics")
    assert [c.class_name for c in info.messages[-1].class_map] == names
    assert [c.name for c in class_map.messages[-1].classes] == names


def living_models() -> int:
    gc.collect()
    return sum(isinstance(item, StreamingSegmenter) for item in gc.get_objects())


def test_no_model_stays_behind(
    graph: RosGraph, weights: str, files: dict[str, str], images: list[np.ndarray]
) -> None:
    others = living_models()
    graph.start(variant="td4-psp18-nano", weights=weights, device="cpu")
    status = graph.listen(SegmentationStatus, STATUS)
    with frames_arriving(graph, images):
        status.wait()
        for swap in range(3):
            name = files["other.safetensors"] if swap % 2 == 0 else weights
            (result,) = graph.set_parameters(weights=name)
            assert result.successful
            (result,) = graph.set_parameters(weights=files["single.safetensors"])
            assert not result.successful
        wait_for(
            lambda: sum(m.reset_reason == "model changed" for m in status.messages) == 3,
            "the last swap",
        )
        wait_for(lambda: living_models() == others + 1, "the old models to be gone")


def test_an_unknown_name_is_named_before_a_model_is_loaded(
    active: RosGraph, files: dict[str, str]
) -> None:
    change = {"weights": files["other.safetensors"], "colour": "red"}
    request = SetParametersAtomically.Request(
        parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in change.items()]
    )
    name = "/tdnet/set_parameters_atomically"
    result = active.call(SetParametersAtomically, name, request).result
    assert not result.successful
    assert "'colour'" in result.reason


@pytest.mark.parametrize("transition", ["deactivate", "cleanup"])
def test_the_lifecycle_goes_on_while_a_model_loads(
    active: RosGraph, files: dict[str, str], transition: str
) -> None:
    others = living_models() - 1
    client = active.user.create_client(SetParameters, "/tdnet/set_parameters")
    assert client.wait_for_service(20)
    change = {"variant": "psp18", "weights": files["large.safetensors"]}
    future = client.call_async(
        SetParameters.Request(
            parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in change.items()]
        )
    )
    assert active.transition("deactivate")
    if transition == "cleanup":
        assert active.transition("cleanup")
    wait_for(future.done, "an answer")
    assert all(result.successful for result in future.result().results)
    left = others + (transition == "deactivate")
    wait_for(lambda: living_models() == left, "the models to be gone")
    if transition == "cleanup":
        assert active.transition("configure")
    assert active.transition("activate")
    assert active.get_parameter("variant") == "psp18"


@pytest.mark.distribution
def test_a_parameter_set_from_within_the_process(
    graph: RosGraph, weights: str, files: dict[str, str], images: list[np.ndarray], tmp_path: Path
) -> None:
    """By a composed program: the answer is there at once, so the model is built at once."""
    node = graph.start(weights=weights, device="cpu")
    status = graph.listen(SegmentationStatus, STATUS)
    camera = graph.camera()
    camera.publish(image_message(images[0], 0.0))
    status.wait()
    missing = str(tmp_path / "missing.safetensors")
    (result,) = node.set_parameters([Parameter("weights", value=missing)])
    assert not result.successful
    (result,) = node.set_parameters([Parameter("weights", value=files["other.safetensors"])])
    assert result.successful
    camera.publish(image_message(images[1], 0.1))
    assert status.wait(2)[1].reset_reason == "model changed"


# Last in the file: the shared node must not meet one of the tests above.
@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"weights": "/nowhere/a.safetensors"}, "does not exist"),
        ({"weights": "damaged.safetensors"}, "damaged"),
        ({"variant": "td4-psp18-nano", "weights": "single.safetensors"}, "psp18-nano"),
        ({"variant": "psp18"}, "psp18"),
        ({"variant": "psp999"}, "valid: "),
        ({"class_map": "camvid"}, "19"),
        ({"class_map": "/nowhere/map.yaml"}, "/nowhere/map.yaml"),
        ({"device": "cuda:99"}, "cuda:99"),
        ({"device": "tpu"}, "allowed: auto"),
        ({"precision": "int3"}, "bfloat16"),
        ({"input_size": [1, 1]}, "each 33"),
        ({"input_size": 97}, "integer array"),
        ({"weights": 5}, "type string"),
        ({"weights": "indoor.safetensors", "overlay.hidden_classes": ["unicorn"]}, "unicorn"),
        ({"cameras": ["a"]}, "while the node is configured"),
        ({"image_transport": "compressed"}, "while the node is configured"),
        ({"autostart": False}, "read-only"),
    ],
    ids=str,
)
def test_what_cannot_be_used_changes_nothing(
    shared_active: RosGraph, files: dict[str, str], change: dict[str, Any], part: str
) -> None:
    change = {n: files.get(v, v) if isinstance(v, str) else v for n, v in change.items()}
    before = {name: shared_active.get_parameter(name) for name in change}
    request = SetParametersAtomically.Request(
        parameters=[Parameter(n, value=v).to_parameter_msg() for n, v in change.items()]
    )
    result = shared_active.call(
        SetParametersAtomically, "/tdnet/set_parameters_atomically", request
    ).result
    assert not result.successful
    assert part in result.reason
    assert "\n" not in result.reason
    assert {name: shared_active.get_parameter(name) for name in change} == before
