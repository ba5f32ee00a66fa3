"""Whether a working camera works well: age, rate, frames overtaken and frames lost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from tdnet_ros.camera.camera import UnfilledMemory
from tdnet_ros.diagnostics.issues import Issue, Severity, beyond
from tdnet_ros.diagnostics.no_output_reason import transport_remedy
from tdnet_ros.parameters import DiagnosticLimits

# Fewer frames make no share.
FEWEST_FRAMES = 3
# Gaps in a row that reset the memory; the automatic limit needs three to follow a slow rate.
FEWEST_RESETS = 5
# Seconds after activation from which a rate means something.
FIRST_SECONDS = 2.0

_LIGHTER = "choose a smaller input_size or a lighter variant, or set max_rate to what it manages"


@dataclass(frozen=True)
class Performance:
    """What is measured of a camera over the last seconds.

    Attributes:
        input_topic: of its images.
        seconds: how many they are.
        received: frames that arrived.
        segmented: frames segmented.
        due: frames that were to be segmented: not those kept back by `max_rate`, or in idleness.
        overtaken: those of them that a newer one took the place of.
        lost: frames that the middleware lost on their way.
        missing: frames missing among the latest, as their stamps tell.
        latest: how many the latest are.
        age: seconds from stamp to publication, 95th percentile; None where it is not known.
    """

    input_topic: str
    seconds: float
    received: int
    segmented: int
    due: int
    overtaken: int
    lost: int
    missing: int
    latest: int
    age: float | None

    @property
    def rate(self) -> float:
        """Segmented frames a second."""
        return self.segmented / self.seconds

    @property
    def received_rate(self) -> float:
        """Frames a second that arrived."""
        return self.received / self.seconds


def judge(measured: Performance, limits: DiagnosticLimits) -> list[Issue]:
    """Say what is beyond a limit: value, limit, its parameter and what helps."""
    return [*_age(measured, limits), *_rate(measured, limits), *_dropped(measured, limits)]


def judge_memory(unfilled: UnfilledMemory | None, max_gap: float) -> list[Issue]:
    """Report a memory that gaps between the frames reset before it is full.

    Args:
        unfilled: the gaps since it was full.
        max_gap: the parameter, seconds; 0: automatic.
    """
    if unfilled is None or unfilled.resets < FEWEST_RESETS:
        return []
    enough = f"{math.ceil(15 * unfilled.gap) / 10:g}"
    if max_gap:
        allowed = f"memory.max_gap is {max_gap:g}"
        remedy = f"set it to 0, which follows the rate, or to {enough}"
    else:
        allowed = f"memory.max_gap 0 allows {unfilled.limit:.2f} s"
        remedy = f"if they show one view, set memory.max_gap to {enough}"
    return [
        Issue(
            "memory never fills",
            f"the memory never fills: {unfilled.resets} gaps in a row reset it, the newest of "
            f"{unfilled.gap:.2f} s between two segmented frames, and {allowed}: {remedy}",
        )
    ]


def judge_transport(measured: Performance, limits: DiagnosticLimits) -> list[Issue]:
    """Say whether too many frames do not arrive."""
    topic, lost, received = measured.input_topic, measured.lost, measured.received
    severity, limit = beyond(limits.lost, lost / max(lost + received, 1))
    if severity is not Severity.OK and lost >= FEWEST_FRAMES:
        return [
            Issue(
                "lost in transport",
                f"{lost} of {lost + received} frames of {topic} lost in transport in the last "
                f"{measured.seconds:.1f} s ({_limit('lost', severity, limit)} of them): "
                f"{transport_remedy()}",
                severity,
            )
        ]
    missing, sent = measured.missing, measured.missing + measured.latest
    severity, limit = beyond(limits.lost, missing / max(sent, 1))
    if severity is Severity.OK:
        return []
    return [
        Issue(
            "missing by stamps",
            f"about {missing} of the latest {sent} frames of {topic} are missing, as their stamps "
            f"tell ({_limit('lost', severity, limit)} of them), and the middleware counts {lost} "
            "of the last seconds as lost: the camera skips them, they were lost on the way, or "
            "this machine is too busy to take each of them; against loss "
            f"{transport_remedy()}",
            severity,
        )
    ]


def _age(measured: Performance, limits: DiagnosticLimits) -> Iterator[Issue]:
    if measured.age is None:
        return
    severity, limit = beyond(limits.age, measured.age)
    if severity is not Severity.OK:
        yield Issue(
            "age",
            f"outputs are {measured.age:.2f} s older than their stamps, p95 "
            f"({_limit('age', severity, limit)}): the latencies say where the time goes; "
            f"{_LIGHTER}",
            severity,
        )


def _rate(measured: Performance, limits: DiagnosticLimits) -> Iterator[Issue]:
    severity, limit = beyond(limits.rate, measured.rate)
    if severity is Severity.OK or measured.seconds < FIRST_SECONDS:
        return
    slow_camera = beyond(limits.rate, measured.received_rate)[0] is not Severity.OK
    remedy = "the camera sends no more" if slow_camera else _LIGHTER
    yield Issue(
        "rate",
        f"{measured.rate:.1f} frames a second of {measured.received_rate:.1f} that arrive "
        f"({_limit('rate', severity, limit)}): {remedy}",
        severity,
    )


def _dropped(measured: Performance, limits: DiagnosticLimits) -> Iterator[Issue]:
    severity, limit = beyond(limits.dropped, measured.overtaken / max(measured.due, 1))
    if severity is not Severity.OK and measured.due >= FEWEST_FRAMES:
        yield Issue(
            "dropped",
            f"{measured.overtaken} of {measured.due} frames dropped for newer ones in the last "
            f"{measured.seconds:.1f} s ({_limit('dropped', severity, limit)} of them): {_LIGHTER}",
            severity,
        )


def _limit(name: str, severity: Severity, limit: float) -> str:
    return f"diagnostics.{name}_{severity.name.lower()} is {limit:g}"
