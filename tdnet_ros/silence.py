"""Why nothing comes out of a camera: one sentence that says what to do."""

from __future__ import annotations

from dataclasses import dataclass

# Seconds without a frame after which a camera with a publisher counts as silent.
SILENT_AFTER = 3.0


@dataclass(frozen=True)
class CameraView:
    """What one look at a camera of an active node shows.

    Attributes:
        input_topic: of its images.
        publishers: of that topic.
        has_subscriber: somebody subscribes to an output.
        idles: without a subscriber nothing is segmented.
        incidents: peers whose QoS does not fit, a sentence each.
        received: frames that arrived since the last look.
        segmented: frames segmented since the last look.
        refused: frames refused since the last look.
        last_error: why the newest of the refused frames was refused.
        silent_for: seconds since the newest frame, or since activation.
    """

    input_topic: str
    publishers: int
    has_subscriber: bool
    idles: bool
    incidents: tuple[str, ...]
    received: int
    segmented: int
    refused: int
    last_error: str
    silent_for: float


@dataclass(frozen=True)
class Finding:
    """Why nothing comes out.

    Attributes:
        text: the cause and what to do.
        harmless: it is meant to be so.
    """

    text: str
    harmless: bool = False


def explain_silence(camera: CameraView) -> Finding | None:
    """Say why nothing comes out of a camera, or None where nothing keeps frames from it."""
    if camera.publishers == 0:
        return Finding(
            f"no publisher of {camera.input_topic}: start the camera, or remap "
            "the topic (-r image:=/camera/image_raw) and look at image_transport"
        )
    if camera.received == 0 and camera.incidents:
        return Finding("; ".join(camera.incidents))
    if camera.received == 0 and camera.silent_for >= SILENT_AFTER:
        return Finding(
            f"{camera.input_topic} has a publisher, but no frame came for {SILENT_AFTER:.0f} s: "
            "the camera stands still, or its images are lost in transport; start its driver with "
            "FASTDDS_DEFAULT_PROFILES_FILE (Humble, Jazzy: FASTRTPS_DEFAULT_PROFILES_FILE) set to "
            "config/fastdds_large_images.xml of this package"
        )
    if camera.refused and not camera.segmented:
        return Finding(camera.last_error)
    if not camera.has_subscriber and camera.idles:
        return Finding(
            "nobody subscribes to an output: idle (idle_without_subscribers)", harmless=True
        )
    if camera.incidents:
        return Finding("; ".join(camera.incidents))
    return None
