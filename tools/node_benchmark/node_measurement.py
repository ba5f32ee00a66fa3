"""Measures the node at one camera size, with a node process and a camera process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from sensor_msgs.msg import Image

from tdnet._util.process_usage import ProcessUsage, usage_of
from tdnet_ros.msg import SegmentationStatus
from tools.harness import ToolError
from tools.harness.camera import TOPIC, CameraProcess
from tools.harness.node_observer import NodeObserver
from tools.harness.node_process import NodeProcess
from tools.node_benchmark.node_run import FrameRecord, NodeResources, NodeRun, summarize

# Longest time without a frame.
SILENT_SECONDS = 30.0
# Frames at the start of each run that are not measured.
WARM_UP_FRAMES = 8
# Share of the highest rate at which no frame waits for the one before.
EASY_SHARE = 0.5


class OutputListener(NodeObserver):
    """Subscribes to the labels, and optionally to confidence and overlay too, as RViz does.

    Images are received serialized and discarded: their use is not part of the measurement.

    Attributes:
        records: the frames whose subscribed outputs were all published.
    """

    def __init__(self, *, overlay: bool) -> None:
        super().__init__("node_benchmark")
        self.records: list[FrameRecord] = []
        self._overlay = overlay
        self.subscribe(SegmentationStatus, "/tdnet/status", self._take_status, depth=1000)
        for topic in ("labels", "confidence", "overlay") if overlay else ("labels",):
            self.subscribe(Image, f"/tdnet/{topic}", lambda _: None, depth=1, raw=True)
        self.start()

    def has_heard(self, count: int) -> bool:
        """Return whether there are `count` records."""
        return len(self.records) >= count

    def _take_status(self, message: SegmentationStatus) -> None:
        record = FrameRecord.of(message, time.monotonic())
        if record.has_outputs(overlay=self._overlay):
            self.records.append(record)


def measure(
    size: tuple[int, int], frames: int, rate: float, images: Path, folder: Path
) -> Iterator[NodeRun]:
    """Measure the node with a camera of a size, first without and then with the overlay.

    Each is measured twice: at the highest rate, and at half of it for the latency.

    Args:
        size: height and width.
        frames: frames of each run.
        rate: frames per second of a camera that keeps the node busy.
        images: file with the images of the camera, which resizes them.
        folder: folder of the logs.

    Raises:
        ToolError: the node does not start or publishes nothing, or the camera does not answer.
    """
    name = f"{size[1]}x{size[0]}"
    with ExitStack() as ending:
        node = NodeProcess(TOPIC, {}, folder / f"node-{name}.log")
        ending.callback(node.stop)
        camera = CameraProcess(images, rate, folder / f"camera-{name}.log")
        ending.callback(camera.stop)
        camera.command("size {} {}".format(*size))
        for overlay in (False, True):
            with closing(OutputListener(overlay=overlay)) as listener:
                listener.wait_until_active(node)
                asked = rate
                for busy in (True, False):
                    camera.command(f"rate {asked}")
                    records, process = _frames(node, camera, listener, frames)
                    run = summarize(size, asked, records, process, overlay=overlay, busy=busy)
                    yield run
                    asked = EASY_SHARE * run.rate


def _frames(
    node: NodeProcess, camera: CameraProcess, listener: OutputListener, count: int
) -> tuple[list[FrameRecord], NodeResources]:
    listener.records.clear()
    camera.command("resume")
    try:
        _wait(node, listener, WARM_UP_FRAMES)
        listener.records.clear()
        begun, before = time.monotonic(), _usage(node)
        _wait(node, listener, count)
        seconds, after = time.monotonic() - begun, _usage(node)
    finally:
        camera.command("pause")
    cpu = (after.cpu_seconds - before.cpu_seconds) / seconds
    grown = after.own_mib - before.own_mib
    return list(listener.records), NodeResources(cpu, after.resident_mib, after.own_mib, grown)


def _wait(node: NodeProcess, listener: OutputListener, count: int) -> None:
    for number in range(1, count + 1):
        node.wait_until(partial(listener.has_heard, number), "labels", SILENT_SECONDS)


def _usage(node: NodeProcess) -> ProcessUsage:
    usage = usage_of(node.pid)
    if usage is None:
        raise ToolError(f"the node ended: {node.last_words()}")
    return usage
