"""Measures the node at one camera size, with a node process and a camera process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tdnet._util.process_usage import ProcessUsage, usage_of
from tdnet.errors import TdnetError
from tools.harness.camera import TOPIC, CameraProcess
from tools.harness.node_process import NodeProcess
from tools.node_benchmark.frame_record import FrameRecord
from tools.node_benchmark.listener import Listener
from tools.node_benchmark.node_run import NodeRun, Process, summarize

ACTIVE_SECONDS = 120.0
# Longest time without a frame.
SILENT_SECONDS = 30.0
# Frames at the start of each run that are not measured.
WARM_UP_FRAMES = 8
# Share of the highest rate at which no frame waits for the one before.
EASY_SHARE = 0.5


class NodeBenchmarkError(TdnetError):
    """The node cannot be measured; the message has the reason."""


@dataclass(frozen=True)
class MeasurementPlan:
    """The measurement at each size.

    Attributes:
        frames: frames of each run.
        rate: frames per second of a camera that keeps the node busy.
        images: file with the images of the camera, which resizes them.
        folder: folder of the logs.
    """

    frames: int
    rate: float
    images: Path
    folder: Path


def measure(size: tuple[int, int], plan: MeasurementPlan) -> Iterator[NodeRun]:
    """Measure the node with a camera of a size, first without and then with the overlay.

    Each is measured twice: at the highest rate, and at half of it for the latency.

    Args:
        size: height and width.
        plan: frames and rate.

    Raises:
        NodeBenchmarkError: the node does not start, or publishes nothing.
        ToolError: the camera does not answer a command.
    """
    name = f"{size[1]}x{size[0]}"
    with ExitStack() as ending:
        node = NodeProcess(TOPIC, {}, plan.folder / f"node-{name}.log")
        ending.callback(node.stop)
        camera = CameraProcess(plan.images, plan.rate, plan.folder / f"camera-{name}.log")
        ending.callback(camera.stop)
        camera.command("size {} {}".format(*size))
        for overlay in (False, True):
            listener = Listener(overlay=overlay)
            try:
                _wait_until_active(node, listener)
                rate = plan.rate
                for busy in (True, False):
                    camera.command(f"rate {rate}")
                    records, process = _frames(node, camera, listener, plan.frames)
                    run = summarize(size, rate, records, process, overlay=overlay, busy=busy)
                    yield run
                    rate = EASY_SHARE * run.rate
            finally:
                listener.close()


def _frames(
    node: NodeProcess, camera: CameraProcess, listener: Listener, count: int
) -> tuple[list[FrameRecord], Process]:
    camera.command("resume")
    try:
        _wait(node, listener, WARM_UP_FRAMES, dropped=True)
        begun, before = time.monotonic(), _usage(node)
        _wait(node, listener, count, dropped=False)
        seconds, after = time.monotonic() - begun, _usage(node)
    finally:
        camera.command("pause")
    records = listener.take()
    cpu = (after.cpu_seconds - before.cpu_seconds) / seconds
    return records, Process(cpu, after.resident_mib, after.own_mib, after.own_mib - before.own_mib)


def _wait(node: NodeProcess, listener: Listener, count: int, *, dropped: bool) -> None:
    """Wait for a number of frames."""
    heard, since = 0, time.monotonic()
    while heard < count:
        _check_running(node)
        time.sleep(0.05)
        now = listener.heard
        if now > heard:
            heard, since = now, time.monotonic()
        if time.monotonic() - since > SILENT_SECONDS:
            said = listener.view.last_error if listener.view else ""
            raise NodeBenchmarkError(
                f"no labels for {SILENT_SECONDS:.0f} s: {said or node.last_words()}"
            )
    if dropped:
        listener.take()


def _wait_until_active(node: NodeProcess, listener: Listener) -> None:
    begun = time.monotonic()
    while listener.view is None or not listener.view.active:
        if listener.view is not None and listener.view.failure:
            raise NodeBenchmarkError(f"the node says: {listener.view.failure}")
        _check_running(node)
        if time.monotonic() - begun > ACTIVE_SECONDS:
            raise NodeBenchmarkError(
                f"not active after {ACTIVE_SECONDS:.0f} s: {node.last_words()}"
            )
        time.sleep(0.05)


def _check_running(node: NodeProcess) -> None:
    if not node.running:
        raise NodeBenchmarkError(f"the node ended: {node.last_words()}")


def _usage(node: NodeProcess) -> ProcessUsage:
    usage = usage_of(node.pid)
    if usage is None:
        raise NodeBenchmarkError(f"the node ended: {node.last_words()}")
    return usage
