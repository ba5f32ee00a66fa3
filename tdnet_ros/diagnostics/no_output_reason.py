"""Why nothing comes out of a camera: one sentence that says what to do."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.utilities import get_rmw_implementation_identifier

from tdnet_ros.diagnostics.issues import Issue, Severity, beyond
from tdnet_ros.parameters import Limits


@dataclass(frozen=True)
class CameraView:
    """What a look at a camera of an active node shows; frames are those of the last seconds.

    Attributes:
        input_topic: of its images.
        publishers: of that topic, with the type that the node takes.
        misplaced: images of another type or on another topic, a sentence; empty: none are known.
        has_subscriber: somebody subscribes to an output.
        idles: without a subscriber nothing is segmented.
        incidents: peers whose QoS does not fit, a sentence each.
        received: frames that arrived.
        segmented: frames segmented.
        refused: frames refused.
        lost: frames that the middleware lost.
        last_error: why the newest of the refused frames was refused.
        silent_for: seconds since the newest frame, or since activation.
        deaf: another participant receives its images, and this node does not.
    """

    input_topic: str
    publishers: int
    misplaced: str
    has_subscriber: bool
    idles: bool
    incidents: tuple[str, ...]
    received: int
    segmented: int
    refused: int
    lost: int
    last_error: str
    silent_for: float
    deaf: bool = False


def explain_silence(camera: CameraView, limits: Limits) -> Issue | None:
    """Say why nothing comes out of a camera, or None where nothing keeps frames from it.

    Args:
        camera: what is seen of it.
        limits: seconds without a frame.
    """
    severity, limit = beyond(limits, camera.silent_for)
    silent = max(severity, Severity.WARN)
    if camera.publishers == 0 and camera.misplaced:
        return Issue("misplaced images", camera.misplaced, silent)
    if camera.publishers == 0:
        return Issue(
            "no publisher",
            f"no publisher of {camera.input_topic}: start the camera, or remap "
            "the topic (-r image:=/camera/image_raw) and look at image_transport",
            silent,
        )
    if camera.received == 0 and camera.incidents:
        return Issue("incompatible QoS", "; ".join(camera.incidents), silent)
    if camera.deaf:
        return Issue(
            "deaf",
            f"another participant receives {camera.input_topic}, this node does not: its "
            "connection through the middleware is broken; start its process again",
            Severity.ERROR,
        )
    if severity is not Severity.OK:
        return Issue("no frames", _no_frames(camera, severity, limit), severity)
    if camera.refused and not camera.segmented:
        return Issue("refused", camera.last_error)
    # The middleware does not count a subscriber that does not fit: it is why the node idles.
    if camera.incidents:
        return Issue("incompatible QoS", "; ".join(camera.incidents))
    if not camera.has_subscriber and camera.idles:
        return Issue(
            "no subscriber",
            "nobody subscribes to an output: idle (idle_without_subscribers)",
            Severity.OK,
        )
    return None


def _no_frames(camera: CameraView, severity: Severity, limit: float) -> str:
    measured = (
        f"{camera.input_topic} has a publisher, but no frame came for {camera.silent_for:.1f} s "
        f"(diagnostics.silence_{severity.name.lower()} is {limit:g})"
    )
    if camera.lost:
        return f"{measured}: {camera.lost} were lost in transport; {transport_remedy()}"
    return (
        f"{measured}: the camera stands still, or its images are lost in transport; "
        f"{transport_remedy()}"
    )


def transport_remedy() -> str:
    """Say what helps against the loss of large images, with the middleware in use."""
    if "cyclonedds" in get_rmw_implementation_identifier():
        return "raise net.core.rmem_max on both machines and let Cyclone DDS fragment the images"
    return (
        "start its driver with FASTDDS_DEFAULT_PROFILES_FILE (Humble, Jazzy: "
        "FASTRTPS_DEFAULT_PROFILES_FILE) set to config/fastdds_large_images.xml of this package"
    )
