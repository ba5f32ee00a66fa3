"""The checks of the diagnostics, in the order in which they run.

To add a check, write a function and add it to `CAMERA_CHECKS` or `NODE_CHECKS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

from rclpy.utilities import get_rmw_implementation_identifier

from tdnet_ros.diagnostics.input_topic import explain_misplaced, image_type
from tdnet_ros.diagnostics.issues import Issue, Severity
from tdnet_ros.diagnostics.snapshot import CameraSnapshot, NodeSnapshot
from tdnet_ros.parameter_groups import MINIMUMS

T = TypeVar("T")

NEXT_STEP = {"unconfigured": "configure", "inactive": "activate"}
# Fewer frames make no share.
FEWEST_FRAMES = 3
# Gaps in a row that reset the memory; the automatic limit needs three to follow a slow rate.
FEWEST_RESETS = 5
# Seconds after activation from which a rate is meaningful.
FIRST_SECONDS = 2.0
# Stamps of greater age are those of a recording, or of a camera whose clock was never set.
OLDEST_MS = 60_000.0
# A simulated clock stands still between two of its messages, and clocks of two machines differ.
AHEAD_MS = 100.0

_LIGHTER = "choose a smaller input_size or a lighter variant, or set max_rate to a lower rate"


def run_checks(checks: Iterable[Callable[[T], Issue | None]], snapshot: T) -> list[Issue]:
    """Return the issues that checks find, the most severe first."""
    issues: list[Issue] = []
    for check in checks:
        issue = check(snapshot)
        if issue is not None:
            issues.append(issue)
            if issue.final:
                break
    return sorted(issues, key=lambda issue: -issue.severity)


def stamps_of_another_clock(camera: CameraSnapshot) -> Issue | None:
    """Report that the age of frames is meaningless."""
    age = camera.age
    if not camera.now_ns:
        reason = "use_sim_time is set, but nobody publishes /clock"
    elif age is None or -AHEAD_MS <= age.p50 <= OLDEST_MS:
        return None
    else:
        where = "behind" if age.p50 > 0 else "ahead of"
        reason = (
            f"stamps are not of this clock, {abs(age.p50) / 1e3:.3g} s {where} it; set "
            "use_sim_time for a bag or a simulation (and play the bag with --clock), or "
            "synchronise the clocks of camera and node"
        )
    return Issue("age unknown", f"age unknown: {reason}", Severity.OK)


def no_publisher(camera: CameraSnapshot) -> Issue | None:
    """Report an input topic without a publisher of the expected type."""
    transport, topic = camera.settings.image_transport, camera.input_topic
    if image_type(transport) in camera.publisher_types[topic]:
        return None
    cause, text = "misplaced images", explain_misplaced(topic, transport, camera.publisher_types)
    if not text:
        cause = "no publisher"
        text = (
            f"no publisher of {topic}: start the camera, or remap the topic "
            "(-r image:=/camera/image_raw) and check image_transport"
        )
    return Issue(cause, text, _silence(camera), final=True)


def incompatible_publisher(camera: CameraSnapshot) -> Issue | None:
    """Report a QoS that does not fit, if no frame arrives."""
    if camera.counts.received or not camera.incidents:
        return None
    text = "; ".join(camera.incidents)
    return Issue("incompatible QoS", text, _silence(camera), final=True)


def deaf_node(camera: CameraSnapshot) -> Issue | None:
    """Report a node whose connection through the middleware is broken."""
    if not camera.deaf:
        return None
    return Issue(
        "deaf",
        f"another participant receives {camera.input_topic}, this node does not: its connection "
        "through the middleware is broken; start its process again",
        Severity.ERROR,
        final=True,
    )


def no_frames(camera: CameraSnapshot) -> Issue | None:
    """Report a publisher from which nothing arrives."""
    severity, limit = _beyond(camera, "silence", camera.silent_for)
    if severity is Severity.OK:
        return None
    if camera.counts.lost:
        reason = f"{camera.counts.lost} were lost in transport"
    else:
        reason = "the camera has stopped, or its images are lost in transport"
    return Issue(
        "no frames",
        f"{camera.input_topic} has a publisher, but no frame arrived for {camera.silent_for:.1f} "
        f"s ({limit}): {reason}; {transport_remedy()}",
        severity,
        final=True,
    )


def only_refused_frames(camera: CameraSnapshot) -> Issue | None:
    """Report a camera whose frames are all refused."""
    if camera.counts.refused and not camera.counts.segmented:
        return Issue("refused", camera.last_error, final=True)
    return None


def incompatible_peer(camera: CameraSnapshot) -> Issue | None:
    """Report a QoS that does not fit, if another publisher fits.

    Before `no_subscriber`: the middleware does not count a subscriber that does not fit.
    """
    if camera.incidents:
        return Issue("incompatible QoS", "; ".join(camera.incidents), final=True)
    return None


def transport_loss(camera: CameraSnapshot) -> Issue | None:
    """Report frames lost before they arrived: counted, or else estimated from the stamps."""
    topic, lost, received = camera.input_topic, camera.counts.lost, camera.counts.received
    severity, limit = _beyond(camera, "lost", lost / max(lost + received, 1))
    if severity is not Severity.OK and lost >= FEWEST_FRAMES:
        return Issue(
            "lost in transport",
            f"{lost} of {lost + received} frames of {topic} lost in transport in the last "
            f"{camera.seconds:.1f} s ({limit} of them): {transport_remedy()}",
            severity,
        )
    missing, sent = camera.missing, camera.missing + camera.latest
    severity, limit = _beyond(camera, "lost", missing / max(sent, 1))
    if severity is Severity.OK:
        return None
    return Issue(
        "missing by stamps",
        f"about {missing} of the latest {sent} frames of {topic} are missing by their stamps "
        f"({limit} of them), and the middleware counted {lost} lost frames in the last "
        f"{camera.seconds:.1f} s: the camera skipped them, they were lost, or this machine was "
        f"too busy to receive them; against loss {transport_remedy()}",
        severity,
    )


def paused(camera: CameraSnapshot) -> Issue | None:
    """Report a node that was told to pause."""
    if camera.settings.enable:
        return None
    text = (
        f"paused: {camera.sums.paused} frames of {camera.input_topic} counted and dropped; set "
        "the parameter enable to true, or call the service ~/enable with data: true"
    )
    return Issue("paused", text, Severity.OK, final=True)


def no_subscriber(camera: CameraSnapshot) -> Issue | None:
    """Report a camera that is idle because nobody needs its outputs."""
    if camera.has_subscriber or not camera.settings.idle_without_subscribers:
        return None
    text = "no output has a subscriber: idle (idle_without_subscribers)"
    return Issue("no subscriber", text, Severity.OK, final=True)


def old_outputs(camera: CameraSnapshot) -> Issue | None:
    """Report outputs that are published long after their stamps."""
    age = camera.recent_age
    if age is None or stamps_of_another_clock(camera):
        return None
    severity, limit = _beyond(camera, "age", age.p95 / 1e3)
    if severity is Severity.OK:
        return None
    return Issue(
        "age",
        f"outputs are {age.p95 / 1e3:.2f} s older than their stamps, p95 ({limit}): the "
        f"latencies show where the time is spent; {_LIGHTER}",
        severity,
    )


def low_rate(camera: CameraSnapshot) -> Issue | None:
    """Report too few segmented frames a second."""
    severity, limit = _beyond(camera, "rate", camera.rate)
    if severity is Severity.OK or camera.seconds < FIRST_SECONDS:
        return None
    slow_camera = _beyond(camera, "rate", camera.received_rate)[0] is not Severity.OK
    return Issue(
        "rate",
        f"{camera.rate:.1f} of {camera.received_rate:.1f} frames a second segmented ({limit}): "
        f"{'the camera sends no more' if slow_camera else _LIGHTER}",
        severity,
    )


def dropped_frames(camera: CameraSnapshot) -> Issue | None:
    """Report a large share of frames superseded by newer ones."""
    severity, limit = _beyond(camera, "dropped", camera.counts.overtaken / max(camera.due, 1))
    if severity is Severity.OK or camera.due < FEWEST_FRAMES:
        return None
    return Issue(
        "dropped",
        f"{camera.counts.overtaken} of {camera.due} frames dropped for newer ones in the last "
        f"{camera.seconds:.1f} s ({limit} of them): {_LIGHTER}",
        severity,
    )


def memory_never_fills(camera: CameraSnapshot) -> Issue | None:
    """Report a memory that gaps between frames reset before it is full."""
    unfilled, max_gap = camera.unfilled, camera.settings.max_gap
    if unfilled is None or unfilled.resets < FEWEST_RESETS:
        return None
    enough = f"{math.ceil(15 * unfilled.gap) / 10:g}"
    if max_gap:
        allowed = f"memory.max_gap is {max_gap:g}"
        remedy = f"set it to 0, which follows the rate, or to {enough}"
    else:
        allowed = f"memory.max_gap 0 allows {unfilled.limit:.2f} s"
        remedy = f"if they show one view, set memory.max_gap to {enough}"
    return Issue(
        "memory never fills",
        f"the memory never fills: {unfilled.resets} gaps in a row reset it, the newest of "
        f"{unfilled.gap:.2f} s between two segmented frames, and {allowed}: {remedy}",
    )


def missing_geometry(camera: CameraSnapshot) -> Issue | None:
    """Report camera info or points that have a subscriber and cannot be published."""
    text = camera.geometry_problem
    return Issue("no geometry", text) if text else None


CAMERA_CHECKS = (
    stamps_of_another_clock,
    no_publisher,
    incompatible_publisher,
    deaf_node,
    no_frames,
    only_refused_frames,
    incompatible_peer,
    transport_loss,
    paused,
    no_subscriber,
    old_outputs,
    low_rate,
    dropped_frames,
    memory_never_fills,
    missing_geometry,
)


def namesake(node: NodeSnapshot) -> Issue | None:
    """Report other nodes of the same name."""
    text = (
        f"{node.namesakes} more of the name {node.name} in the graph: end the other node, or "
        "start this one with another name or namespace; a node that was killed leaves the graph "
        "after some 20 s"
    )
    return Issue("namesake", text) if node.namesakes else None


def loading(node: NodeSnapshot) -> Issue | None:
    """Report that the first model is being loaded."""
    issue = Issue("loading", "not active: the model is being loaded", Severity.OK, final=True)
    return issue if node.loading else None


def failure(node: NodeSnapshot) -> Issue | None:
    """Report a transition that failed."""
    return Issue("failure", node.failure, Severity.ERROR, final=True) if node.failure else None


def problems(node: NodeSnapshot) -> Issue | None:
    """Report problems of device and model."""
    text = "; ".join(node.problems)
    return Issue("problem", text, Severity.ERROR, final=True) if text else None


def not_active(node: NodeSnapshot) -> Issue | None:
    """Report a node that must be configured or activated."""
    if node.state == "active":
        return None
    step = NEXT_STEP.get(node.state)
    remedy = f"run `ros2 lifecycle set {node.name} {step}`" if step else "start it again"
    return Issue("not active", f"not active: the node is {node.state}; {remedy}")


NODE_CHECKS = (namesake, loading, failure, problems, not_active)


def transport_remedy() -> str:
    """Return what helps against the loss of large images with the middleware in use."""
    if "cyclonedds" in get_rmw_implementation_identifier():
        return "raise net.core.rmem_max on both machines and let Cyclone DDS fragment the images"
    if "zenoh" in get_rmw_implementation_identifier():
        return (
            "set ZENOH_CONFIG_OVERRIDE=transport/shared_memory/enabled=true for router, driver "
            "and node on one machine; between machines send compressed images"
        )
    return (
        "start its driver with FASTDDS_DEFAULT_PROFILES_FILE (Humble, Jazzy: "
        "FASTRTPS_DEFAULT_PROFILES_FILE) set to config/fastdds_large_images.xml of this package"
    )


def _silence(camera: CameraSnapshot) -> Severity:
    return max(_beyond(camera, "silence", camera.silent_for)[0], Severity.WARN)


def _beyond(camera: CameraSnapshot, name: str, value: float) -> tuple[Severity, str]:
    """Return the severity of a measured value, and the limit that it is beyond in words."""
    for severity in (Severity.ERROR, Severity.WARN):
        parameter = f"{name}_{severity.name.lower()}"
        limit = getattr(camera.settings.diagnostic_limits, parameter, 0.0)
        if limit and (value < limit if name in MINIMUMS else value > limit):
            return severity, f"diagnostics.{parameter} is {limit:g}"
    return Severity.OK, ""
