"""What the diagnostics tell of one camera: how it fares now, and what is wrong."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from rclpy.lifecycle import LifecycleNode

from tdnet_ros.camera.camera import Camera
from tdnet_ros.camera.clock_age import explain_age
from tdnet_ros.camera.stage_statistics import Percentiles
from tdnet_ros.camera.status import FrameCounts
from tdnet_ros.diagnostics.input_topic import explain_misplaced, image_type, published_types
from tdnet_ros.diagnostics.issue_log import IssueLog
from tdnet_ros.diagnostics.issues import Issue, Severity
from tdnet_ros.diagnostics.no_output_reason import CameraView, explain_silence
from tdnet_ros.diagnostics.performance import Performance, judge, judge_memory, judge_transport
from tdnet_ros.model.active_model import ActiveModel

# Seconds that rates and shares are taken over, at least: a look alone may see no frame at all.
SECONDS = 5.0


@dataclass(frozen=True)
class _Sums:
    at: float
    counts: FrameCounts
    lost: int
    busy_ms: float


@dataclass(frozen=True)
class CameraStatus:
    """What one look at a camera found.

    Attributes:
        severity: of the worst that was found.
        text: what was found, or the rate.
        values: measured, by their names.
    """

    severity: Severity
    text: str
    values: dict[str, object]


class CameraDiagnosis:
    """Watches one camera from its activation on.

    Args:
        node: asked for the graph and the clock; logs.
        camera: with all its counts zero.
        now: when it was activated: seconds of `time.perf_counter`.
    """

    def __init__(self, node: LifecycleNode, camera: Camera, now: float) -> None:
        self.camera = camera
        self._node = node
        self._activated = now
        self._log = IssueLog(node.get_logger(), camera.throttle, now)
        self._sums = deque([_Sums(now, FrameCounts(), 0, 0.0)])

    def look(self) -> float:
        """Read the counts; gives the milliseconds of the device that the camera got lately."""
        camera, now = self.camera, time.perf_counter()
        self._sums.append(_Sums(now, camera.counter.counts, camera.loss.lost, camera.busy_ms))
        while self._sums[1].at < now - SECONDS:
            self._sums.popleft()
        return self._sums[-1].busy_ms - self._sums[0].busy_ms

    def status(self, model: ActiveModel, share: float | None) -> CameraStatus:
        """Judge what was read, and log what is found.

        Args:
            model: what the frames are segmented with.
            share: part, 0 to 1, of the device's time that the camera got; None: nobody got any.
        """
        now_ns = self._node.get_clock().now().nanoseconds
        limits = model.settings.diagnostic_limits
        note = explain_age(self.camera.statistics.age(), now_ns)
        measured = self._measure(ages_known=not note)
        silence = explain_silence(self._view(model), limits.silence)
        if silence:
            issues = [silence]
        else:
            unfilled = judge_memory(self.camera.unfilled, model.settings.max_gap)
            issues = [*judge(measured, limits), *unfilled]
        if silence is None or silence.severity is Severity.OK:
            issues += judge_transport(measured, limits)
        noted = [Issue("age unknown", note, Severity.OK)] if note else []
        self._log.note([*issues, *noted], self._sums[-1].at)
        issues.sort(key=lambda issue: -issue.severity)
        worst = issues[0].severity if issues else Severity.OK
        told = [f.text for f in issues if f.severity is not Severity.OK or len(issues) == 1]
        working = "; ".join([f"{measured.rate:.1f} frames a second", *(f.text for f in noted)])
        return CameraStatus(
            worst, "; ".join(told) or working, dict(self._values(model, measured, share, note))
        )

    def _view(self, model: ActiveModel) -> CameraView:
        camera, last = self.camera, self._sums[-1]
        camera.incidents.recheck(self._node)
        counts, before = last.counts, self._sums[0].counts
        arrived = camera.loss.last_arrival
        topic, transport = camera.input_topic, model.settings.image_transport
        types = partial(published_types, self._node)
        publishers = types(topic).count(image_type(transport))
        return CameraView(
            input_topic=topic,
            publishers=publishers,
            misplaced="" if publishers else explain_misplaced(topic, transport, types),
            has_subscriber=camera.publishers.wanted().any,
            idles=model.settings.idle_without_subscribers,
            incidents=camera.incidents.texts,
            received=counts.received - before.received,
            segmented=counts.segmented - before.segmented,
            refused=counts.refused - before.refused,
            lost=last.lost - self._sums[0].lost,
            last_error=camera.last_error,
            silent_for=last.at - (self._activated if arrived is None else arrived),
            deaf=camera.deaf,
        )

    def _measure(self, *, ages_known: bool) -> Performance:
        first, last = self._sums[0], self._sums[-1]
        age = self.camera.statistics.age(since=first.at) if ages_known else None
        missing, latest = self.camera.loss.estimate(last.at)
        received = last.counts.received - first.counts.received
        overtaken = last.counts.overtaken - first.counts.overtaken
        kept_back = last.counts.dropped - first.counts.dropped - overtaken
        return Performance(
            input_topic=self.camera.input_topic,
            seconds=max(last.at - first.at, 1e-9),
            received=received,
            segmented=last.counts.segmented - first.counts.segmented,
            due=received - kept_back,
            overtaken=overtaken,
            lost=last.lost - first.lost,
            missing=missing,
            latest=latest,
            age=None if age is None else age.p95 / 1e3,
        )

    def _values(
        self, model: ActiveModel, measured: Performance, share: float | None, note: str
    ) -> Iterator[tuple[str, object]]:
        camera, counts = self.camera, self._sums[-1].counts
        yield "frames a second", f"{measured.rate:.2f}"
        yield "frames a second received", f"{measured.received_rate:.2f}"
        yield "received", counts.received
        yield "segmented", counts.segmented
        yield "dropped", counts.dropped
        yield "dropped for newer ones", counts.overtaken
        yield "refused", counts.refused
        yield "lost in transport", self._sums[-1].lost
        yield (
            "missing by stamps",
            f"{measured.missing} of the latest {measured.missing + measured.latest}",
        )
        if share is not None:
            yield "share of device time", f"{share:.2f}"
        use = camera.memory_use
        if use is not None:
            yield "memory frames", f"{use.frames} of {model.segmenter.memory_capacity}"
            yield "path", use.path
        yield "last reset", camera.last_reset.value if camera.last_reset else ""
        yield "resets", camera.resets
        yield "last error", camera.last_error
        for stage, found in camera.statistics.latency().items():
            yield from _percentiles(f"latency {stage} ms", found)
        if note:
            yield "age", note
        elif (age := camera.statistics.age()) is not None:
            yield from _percentiles("age ms", age)


def _percentiles(name: str, found: Percentiles) -> Iterator[tuple[str, str]]:
    yield f"{name} p50", f"{found.p50:.1f}"
    yield f"{name} p95", f"{found.p95:.1f}"
    yield f"{name} p99", f"{found.p99:.1f}"
