"""The memory holds only frames of one unbroken view: on real topics, the reason in the status."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from support.camera_run import CameraRun
from support.ros_graph import RosGraph, image_message, stamp, wait_for

from tdnet import SegmenterSettings, StreamingSegmenter
from tdnet_offline.bags import BagWriter, message_types, open_bag
from tdnet_offline.bags import image_message as bag_message
from tdnet_ros.msg import SegmentationStatus

Frame = tuple[float, str, int]
BEFORE: list[Frame] = [(1.0, "camera", 0), (1.1, "camera", 1)]


def reset_memory(graph: RosGraph) -> None:
    assert graph.call(Trigger, "/tdnet/reset_memory", Trigger.Request()).success


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        pytest.param((1.2, "camera", 2), "", id="continued"),
        pytest.param((1.1, "camera", 2), "", id="same stamp"),
        pytest.param((2.1, "camera", 2), "", id="longest gap"),
        pytest.param((0.5, "camera", 2), "stamp went back", id="stamp back"),
        pytest.param((2.2, "camera", 2), "gap", id="gap"),
        pytest.param((1.2, "other", 2), "frame id changed", id="frame id"),
        pytest.param((1.2, "camera", -1), "image size changed", id="size"),
    ],
)
def test_what_breaks_the_view_empties_the_memory(
    active: RosGraph,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    after: Frame,
    reason: str,
) -> None:
    run = CameraRun(active)
    for seconds, frame_id, number in [*BEFORE, after]:
        image = np.ascontiguousarray(images[2][:60, :100]) if number == -1 else images[number]
        run.send(image, seconds, frame_id)
        run.wait()
    assert run.check(segmenter) == ["activated", "", reason]


def test_a_bag_that_loops(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray], tmp_path: Path
) -> None:
    types = message_types()
    with BagWriter(tmp_path / "bag", types) as bag:
        for index, image in enumerate(images):
            stamp_ns = 1_700_000_000_000_000_000 + index * 100_000_000
            bag.write("/image", bag_message(types, image, "rgb8", stamp_ns, "camera"), stamp_ns)
    run = CameraRun(active)
    with open_bag(tmp_path / "bag") as played:
        for _ in range(2):
            for record, image in zip(played.records(["/image"]), images, strict=True):
                seconds, nanoseconds = divmod(record.stamp_ns, 1_000_000_000)
                header = Header(frame_id="camera")
                header.stamp.sec, header.stamp.nanosec = seconds, nanoseconds
                run.send_bytes(bytes(record.data), image, header)
                run.wait()
    going_on = [""] * (len(images) - 1)
    assert run.check(segmenter) == ["activated", *going_on, "stamp went back", *going_on]
    first, second = run.labels[: len(images)], run.labels[len(images) :]
    assert [m.data for m in first] == [m.data for m in second]


def test_two_cameras_on_one_topic_never_share_a_memory(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    run = CameraRun(active)
    for index, image in enumerate(images[:6]):
        run.send(image, index / 10, ("left", "right")[index % 2])
        assert run.wait().memory_frames == 0
    assert run.check(segmenter) == ["activated", *["frame id changed"] * 5]


def test_the_service_empties_it(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    run = CameraRun(active)
    for index, image in enumerate(images[:4]):
        if index == 2:
            reset_memory(active)
            run.happened("requested")
        run.send(image, index / 10)
        run.wait()
    assert run.check(segmenter) == ["activated", "", "requested", ""]


def test_a_reset_under_load_acts_once(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    """At whichever frame it arrives: the labels fit what the status says."""
    status = active.listen(SegmentationStatus, "/tdnet/status")
    labels = active.listen(Image, "/tdnet/labels")
    camera = active.camera()
    sent = 40
    for index in range(sent):
        camera.publish(image_message(images[index % 10], index / 100))
        if index == sent // 2:
            reset_memory(active)
    wait_for(
        lambda: status.messages and status.messages[-1].header.stamp == stamp((sent - 1) / 100),
        "the newest frame",
    )
    reasons = [m.reset_reason for m in status.messages]
    assert reasons[0] in ("activated", "requested")
    assert reasons.count("requested") <= 1
    assert set(reasons) <= {"activated", "requested", ""}
    for message, answer in zip(status.messages, labels.wait(len(reasons)), strict=True):
        if message.reset_reason:
            segmenter.reset()
        index = round(message.header.stamp.nanosec / 1e7)
        expected = segmenter.step(images[index % 10]).labels
        assert answer.data.tobytes() == expected.tobytes()


def test_frames_dropped_under_load(
    graph: RosGraph, weights: str, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    """The gap is the one between frames that were segmented, not between those that arrived."""
    graph.start(weights=weights, device="cpu", memory__max_gap=0.25)
    run = CameraRun(graph)
    run.max_gap = 0.25
    for burst in range(3):
        for index in range(30):
            run.send(images[index % 10], burst * 3 + index / 10)
        status = run.wait()
    assert status.received == len(run.sent) == status.segmented + status.dropped
    assert status.dropped > 0
    assert status.refused == 0
    assert "gap" in run.check(segmenter)


def test_activation_starts_anew(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    run = CameraRun(active)
    for seconds in (0.0, 0.1):
        run.send(images[0], seconds)
        run.wait()
    reset_memory(active)  # of a memory that ends with the activation
    assert active.transition("deactivate")
    run.send_to_nobody(images[1], 0.2)
    assert active.transition("activate")
    run.activated()
    run.send(images[2], 0.3)
    status = run.wait()
    assert (status.received, status.segmented, status.dropped) == (1, 1, 0)
    assert run.check(segmenter) == ["activated", "", "activated"]


def test_who_subscribes_after_a_pause_gets_a_fresh_memory(
    active: RosGraph, segmenter: StreamingSegmenter, images: list[np.ndarray]
) -> None:
    run = CameraRun(active)
    run.send(images[0], 0.0)
    run.wait()
    run.leave()
    run.send_idle(images[1], 0.1)
    run.join()
    run.send(images[2], 0.2)
    status = run.wait()
    assert (status.received, status.segmented, status.dropped) == (3, 2, 1)
    assert run.check(segmenter) == ["activated", "idle"]


def test_without_idling_the_memory_stays_warm(
    graph: RosGraph, weights: str, images: list[np.ndarray]
) -> None:
    graph.start(weights=weights, device="cpu", idle_without_subscribers=False)
    camera = graph.camera()
    camera.publish(image_message(images[0], 0.0))
    graph.wait_until_received(1)
    status = graph.listen(SegmentationStatus, "/tdnet/status")
    camera.publish(image_message(images[1], 0.1))
    message = status.wait()[-1]
    assert (message.reset_reason, message.memory_frames) == ("", 1)
    assert message.segmented == 2


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_to_a_camera(
    active: RosGraph,
    weights: str,
    segmenter: StreamingSegmenter,
    images: list[np.ndarray],
    seed: int,
) -> None:
    """Events in a random order; every answer is replayed on a fresh stream."""
    random = np.random.default_rng(seed)
    models = {
        size: SegmenterSettings(
            weights=weights, device="cpu", runtime="torch", input_size=size
        ).build()
        for size in ((65, 129), (97, 161))
    }
    views = [images, [image[:60, :100].copy() for image in images], images[::-1]]
    run = CameraRun(active)
    now, view, frame_id = 1000.0, views[0], "camera"
    in_use: tuple[int, int] | None = None

    def frame(step: float = 0.1) -> tuple[np.ndarray, float, str]:
        nonlocal now
        # A nanosecond for each message tells stamps apart that would be equal.
        now = round(now + step, 1)
        return view[len(run.sent) % 10], now + (len(run.sent) + 1) * 1e-9, frame_id

    for _ in range(40):
        event = random.choice(EVENTS)
        if event == "burst":
            for _ in range(random.integers(2, 12)):
                run.send(*frame(random.choice([0.1, 0.1, 0.5, -0.3])))
        elif event == "gap":
            now += random.uniform(0.8, 5)
        elif event == "back":
            now -= random.uniform(0.2, 5)
        elif event == "view":
            view = views[random.integers(3)]
        elif event == "frame id":
            frame_id = str(random.choice(["camera", "other"]))
        elif event == "broken":
            run.send_broken(images[0], now, **BROKEN[random.integers(len(BROKEN))])
        elif event == "max gap":
            run.max_gap = float(random.choice([0.0, 0.3, 1.0, 3.0]))
            assert active.set_parameters(memory__max_gap=run.max_gap)[0].successful
        elif event == "model":
            size = list(models)[random.integers(2)]
            assert active.set_parameters(input_size=list(size))[0].successful
            if size != in_use:
                run.use(models[size])
                in_use = size
        elif event == "reset":
            reset_memory(active)
            run.happened("requested")
        elif event == "nobody listens":
            run.leave()
            for _ in range(random.integers(3)):
                run.send_idle(*frame()[:2])
            run.join()
        elif event == "activate again":
            for _ in range(random.integers(6)):
                run.send(*frame())  # some of which are at work, or wait, when it ends
            assert active.transition("deactivate")
            run.send_to_nobody(*frame()[:2])
            assert active.transition("activate")
            run.activated()
        run.send(*frame())
        status = run.wait()
        assert status.received == status.segmented + status.dropped + status.refused
    reasons = run.check(segmenter)
    assert len(set(reasons)) > 5


EVENTS = (
    *("frame", "frame", "frame", "burst", "burst", "gap", "back", "view", "frame id"),
    *("broken", "reset", "nobody listens", "activate again", "max gap", "model"),
)
BROKEN = ({"encoding": "rgb9"}, {"step": 1}, {"height": 4000}, {"width": 0}, {"encoding": "32FC1"})
