"""Diagnostics of a running node: what they measure, and what is a warning or an error."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import Image
from support.diagnosis import Diagnosis
from support.precisions import precision_of_a_cpu
from support.ros_graph import RosGraph, diagnostic_values, image_message, stamp, wait_for

from tdnet.settings import PACKAGED_PURPOSE
from tdnet_ros.camera.frame_trace import STAGES
from tdnet_ros.msg import SegmentationStatus
from tdnet_ros.segment_node import SegmentNode

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def send(
    graph: RosGraph, images: list[np.ndarray], stamps: Iterable[float]
) -> list[SegmentationStatus]:
    """Frames that the node takes one after the other, and the status of each."""
    status = graph.listen(SegmentationStatus, "/tdnet/status")
    camera = graph.camera()
    for count, seconds in enumerate(stamps, start=1):
        camera.publish(image_message(images[count % 10], seconds))
        status.wait(count)
    return status.messages


def now_and_then(count: int) -> Iterator[float]:
    """Stamps of this clock, each when it is asked for."""
    for _ in range(count):
        yield time.time()


def test_a_working_camera(active: RosGraph, images: list[np.ndarray]) -> None:
    diagnosis = Diagnosis(active)
    messages = send(active, images, now_and_then(10))
    values = diagnosis.values("tdnet: camera", segmented="10")
    assert diagnosis.wait("tdnet: camera", "frames a second").level == OK
    assert (values["received"], values["dropped"], values["refused"]) == ("10", "0", "0")
    assert (values["lost in transport"], values["dropped for newer ones"]) == ("0", "0")
    for stage in STAGES:
        p50, p95, p99 = (float(values[f"latency {stage} ms p{n}"]) for n in (50, 95, 99))
        assert 0 <= p50 <= p95 <= p99
    for key, field in (
        ("latency wait ms", "wait_ms"),
        ("latency convert ms", "convert_ms"),
        ("latency preprocess ms", "preprocess_ms"),
        ("latency network ms", "network_ms"),
        ("latency overlay ms", "overlay_ms"),
        ("latency publish ms", "publish_ms"),
        ("latency total ms", "total_ms"),
        ("age ms", "age_ms"),
    ):
        measured = [getattr(message, field) for message in messages]
        for percent in (50, 95, 99):
            expected = np.percentile(measured, percent)
            assert float(values[f"{key} p{percent}"]) == pytest.approx(expected, abs=0.06), key


def test_the_model(active: RosGraph) -> None:
    model = Diagnosis(active).wait("tdnet: model", "active")
    assert model.level == OK
    values = diagnostic_values(model)
    assert values["state"] == "active"
    assert values["variant"] == "td4-psp18-nano"
    assert values["class map"] == "cityscapes"
    assert values["input size"] == "65 x 129"
    runtime = values["runtime"]
    assert runtime in ("onnxruntime:openvino", "onnxruntime:cpu", "torch")
    assert (values["device"], values["precision"]) == ("cpu", precision_of_a_cpu(runtime))
    assert float(values["memory of a camera MiB"]) > 0.01
    assert float(values["host memory MiB"]) > 50
    assert "device memory allocated MiB" not in values


def test_packaged_weights_are_named_with_their_purpose_once(graph: RosGraph) -> None:
    graph.start(device="cpu", autostart=False)
    log = graph.listen_to_log()
    for label in ("configure", "cleanup", "configure", "activate"):
        assert graph.transition(label), label
    values = diagnostic_values(Diagnosis(graph).wait("tdnet: model", "active"))
    assert values["weights"] == f"packaged: {PACKAGED_PURPOSE}"
    wait_for(lambda: log.count("active: waiting"), "a log line")
    assert log.count(PACKAGED_PURPOSE) == 1


def test_own_weights_are_named(active: RosGraph, weights: str) -> None:
    values = diagnostic_values(Diagnosis(active).wait("tdnet: model", "active"))
    assert values["weights"] == weights


def test_the_memory(active: RosGraph, images: list[np.ndarray]) -> None:
    diagnosis = Diagnosis(active)
    send(active, images, [0.0, 0.1, 0.2, 9.0, 9.1])
    values = diagnosis.values("tdnet: camera", segmented="5")
    assert values["memory frames"] == "1 of 3"
    assert values["path"] == "1"
    assert (values["resets"], values["last reset"]) == ("2", "gap")


def test_a_memory_that_never_fills(active: RosGraph, images: list[np.ndarray]) -> None:
    """A camera of 2 Hz and a limit that no frame keeps; then the automatic limit."""
    diagnosis = Diagnosis(active)
    log = active.listen_to_log()
    status = active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    assert active.set_parameters(memory__max_gap=0.4)[0].successful

    def step() -> SegmentationStatus:
        count = len(status.messages) + 1
        camera.publish(image_message(images[count % 10], 5 + count / 2))
        return status.wait(count)[-1]

    def says(part: str) -> DiagnosticStatus | None:
        step()
        found = diagnosis.wait("tdnet: camera", "")
        return found if part in found.message else None

    found = wait_for(lambda: says("the memory never fills"), "the memory that never fills")
    assert found.level == WARN
    assert "0.50 s between two segmented frames, and memory.max_gap is 0.4" in found.message
    assert "set it to 0, which follows the rate, or to 0.8" in found.message
    log.wait_for_text("the memory never fills")
    assert active.set_parameters(memory__max_gap=0.0)[0].successful
    wait_for(lambda: step().memory_frames == 3, "a full memory")
    assert wait_for(lambda: says("frames a second"), "the camera to work").level == OK


def test_every_published_frame_counts_whoever_listens(
    active: RosGraph, images: list[np.ndarray]
) -> None:
    """Nobody needs to subscribe to the status."""
    labels = active.listen(Image, "/tdnet/labels")
    diagnosis = Diagnosis(active)
    camera = active.camera()
    camera.publish(image_message(images[0], time.time() - 1.0))
    labels.wait()
    values = diagnosis.values("tdnet: camera", segmented="1")
    assert float(values["age ms p50"]) > 1000
    assert float(values["latency network ms p99"]) > 0


def test_shares_of_the_device(graph: RosGraph, weights: str, images: list[np.ndarray]) -> None:
    graph.start(weights=weights, device="cpu", cameras=["front", "rear"])
    status = graph.listen(SegmentationStatus, "/tdnet/front/status")
    camera = graph.camera(topic="/front/image")
    diagnosis = Diagnosis(graph)
    assert "share of device time" not in diagnosis.values("tdnet: camera front")
    for count in range(1, 4):
        camera.publish(image_message(images[0], count / 10))
        status.wait(count)
    assert diagnosis.values("tdnet: camera front", segmented="3")["share of device time"] == "1.00"
    assert diagnosis.values("tdnet: camera rear")["share of device time"] == "0.00"


def test_stamps_of_another_clock(active: RosGraph, images: list[np.ndarray]) -> None:
    """As a bag that is played without /clock: no warning about an age of years."""
    diagnosis = Diagnosis(active)
    log = active.listen_to_log()
    (message, *_) = send(active, images, [5.0, 5.1])
    assert message.age_ms > 1e12
    status = diagnosis.wait("tdnet: camera", "stamps are not of this clock")
    assert status.level == OK
    assert "frames a second; age unknown" in status.message
    values = diagnostic_values(status)
    assert "set use_sim_time" in values["age"]
    assert "age ms p50" not in values
    wait_for(lambda: log.count("stamps are not of this clock"), "a log line")


def test_stamps_that_turn_to_zero_have_no_age(active: RosGraph, images: list[np.ndarray]) -> None:
    """A driver whose clock was lost sends no stamp: no warning about an age of years."""
    diagnosis = Diagnosis(active)
    patient = {"diagnostics__age_error": 0.0, "diagnostics__age_warn": 60.0}
    assert all(result.successful for result in active.set_parameters(**patient))
    messages = send(active, images, [*now_and_then(8), 0.0, 0.0, 0.0])
    assert [math.isnan(message.age_ms) for message in messages] == [False] * 8 + [True] * 3
    values = diagnosis.values("tdnet: camera", segmented="11")
    assert float(values["age ms p99"]) < 60_000
    assert "older than their stamps" not in diagnosis.wait("tdnet: camera", "").message


def test_simulated_time(graph: RosGraph, weights: str, images: list[np.ndarray]) -> None:
    graph.start(weights=weights, device="cpu", use_sim_time=True)
    status = graph.listen(SegmentationStatus, "/tdnet/status")
    camera = graph.camera()
    diagnosis = Diagnosis(graph)
    camera.publish(image_message(images[0], 100.0))
    assert math.isnan(status.wait()[0].age_ms)
    found = diagnosis.wait("tdnet: camera", "nobody publishes /clock")
    assert found.level == OK
    clock = graph.user.create_publisher(ClockMessage, "/clock", 1)

    def follows() -> bool:
        clock.publish(ClockMessage(clock=stamp(100.5)))
        return diagnosis.latest().header.stamp == stamp(100.5)

    wait_for(follows, "the node's clock to start")
    camera.publish(image_message(images[1], 100.25))
    assert status.wait(2)[1].age_ms == pytest.approx(250)
    assert diagnosis.values("tdnet: camera", segmented="2")["age ms p50"] == "250.0"


@pytest.mark.parametrize(
    ("limits", "level", "part"),
    [
        pytest.param({"age_warn": 0.9}, WARN, "diagnostics.age_warn is 0.9", id="age"),
        pytest.param({"age_error": 0.95}, ERROR, "diagnostics.age_error is 0.95", id="old"),
        pytest.param({"rate_warn": 900.0}, WARN, "diagnostics.rate_warn is 900", id="rate"),
        pytest.param({"rate_error": 900.0}, ERROR, "diagnostics.rate_error is 900", id="slow"),
        pytest.param({"dropped_warn": 0.1}, WARN, "diagnostics.dropped_warn is 0.1", id="drops"),
        pytest.param({"silence_warn": 0.2}, WARN, "diagnostics.silence_warn is 0.2", id="silent"),
        pytest.param({"silence_error": 0.3}, ERROR, "silence_error is 0.3", id="long silent"),
    ],
)
def test_limits_act_at_once(
    active: RosGraph,
    images: list[np.ndarray],
    limits: dict[str, float],
    level: bytes,
    part: str,
) -> None:
    off = {
        f"diagnostics__{name}_{kind}": 0.0
        for name in ("age", "rate", "dropped", "silence")
        for kind in ("error", "warn")
    }
    assert all(result.successful for result in active.set_parameters(**off))
    active.listen(SegmentationStatus, "/tdnet/status")
    camera = active.camera()
    diagnosis = Diagnosis(active)

    def says(level: bytes, text: str = "frames a second") -> bool:
        """Look at a camera that sends bursts, or none where its silence is the matter."""
        if "silence" not in part:
            for _ in range(5):
                camera.publish(image_message(images[0], time.time() - 1.0))
            time.sleep(0.05)
        found = diagnosis.wait("tdnet: camera", "")
        return found.level == level and text in found.message

    wait_for(lambda: says(OK), "the camera to work")
    changed = {f"diagnostics__{name}": value for name, value in limits.items()}
    assert all(result.successful for result in active.set_parameters(**changed))
    wait_for(lambda: says(level, part), part)
    assert all(result.successful for result in active.set_parameters(**off))
    wait_for(lambda: says(OK), "the camera to work")


def test_limits_that_contradict_are_refused(active: RosGraph) -> None:
    (result,) = active.set_parameters(diagnostics__age_warn=3.0)
    assert not result.successful
    assert "diagnostics.age_warn is 3.0 and diagnostics.age_error is 2.0" in result.reason


def test_the_period_changes_live(active: RosGraph) -> None:
    assert all(r.successful for r in active.set_parameters(diagnostics_period=60.0))
    listener = active.listen(DiagnosticArray, "/diagnostics")
    assert all(r.successful for r in active.set_parameters(diagnostics_period=0.2))
    listener.wait(2, timeout=10)


@pytest.mark.distribution
def test_another_node_of_the_same_name_until_it_is_destroyed(active: RosGraph) -> None:
    diagnosis, log = Diagnosis(active), active.listen_to_log()
    assert diagnosis.wait("tdnet: model", "").message == "active"
    other = SegmentNode(parameter_overrides=[Parameter("autostart", value=False)])
    found = diagnosis.wait("tdnet: model", "1 more of the name /tdnet in the graph")
    assert found.level == WARN
    log.wait_for_text("1 more of the name /tdnet in the graph")
    other.destroy_node()
    # Although `other` still refers to it.
    wait_for(
        lambda: diagnosis.wait("tdnet: model", "").message == "active", "the node to be alone"
    )
