"""Each cause of silence is told from the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tdnet_ros.diagnostics.issues import Severity
from tdnet_ros.diagnostics.no_output_reason import CameraView, explain_silence
from tdnet_ros.parameters import Limits

WORKING = CameraView(
    input_topic="/image",
    publishers=1,
    misplaced="",
    has_subscriber=True,
    idles=True,
    incidents=(),
    received=10,
    segmented=10,
    refused=0,
    lost=0,
    last_error="",
    silent_for=0.0,
)
LIMITS = Limits(3.0, 10.0)
QOS = "the publisher of /image offers an incompatible QoS (DURABILITY)"
ALONE = {"publishers": 0, "received": 0}
ELSEWHERE = "no publisher of /image, but /image/compressed carries sensor_msgs/msg/CompressedImage"
SILENT = {"received": 0, "silent_for": 4.0}
LATE = {"received": 0, "silent_for": 12.0}
OK, WARN, ERROR = Severity.OK, Severity.WARN, Severity.ERROR


def test_a_working_camera_has_nothing_to_explain() -> None:
    assert explain_silence(WORKING, LIMITS) is None
    some = replace(WORKING, segmented=5, refused=5, last_error="bad")
    assert explain_silence(some, LIMITS) is None


@pytest.mark.parametrize(
    ("change", "cause", "part", "severity"),
    [
        pytest.param(ALONE, "no publisher", "no publisher of /image", WARN, id="no publisher"),
        pytest.param(ALONE | LATE, "no publisher", "remap", ERROR, id="long no publisher"),
        pytest.param(
            {**ALONE, "misplaced": ELSEWHERE}, "misplaced images", ELSEWHERE, WARN, id="misplaced"
        ),
        pytest.param({**SILENT, "incidents": (QOS,)}, "incompatible QoS", QOS, WARN, id="qos"),
        pytest.param(SILENT, "no frames", "silence_warn is 3", WARN, id="silent"),
        pytest.param(SILENT, "no frames", "FASTDDS_DEFAULT_PROFILES_FILE", WARN, id="remedy"),
        pytest.param({**LATE, "deaf": True}, "deaf", "another participant", ERROR, id="deaf"),
        pytest.param(LATE, "no frames", "silence_error is 10", ERROR, id="long silent"),
        pytest.param(
            {**SILENT, "lost": 40}, "no frames", "40 were lost in transport", WARN, id="all lost"
        ),
        pytest.param(
            {"segmented": 0, "refused": 3, "last_error": "unknown encoding"},
            "refused",
            "unknown encoding",
            WARN,
            id="refused",
        ),
        pytest.param(
            {"has_subscriber": False, "segmented": 0},
            "no subscriber",
            "nobody subscribes",
            OK,
            id="idle",
        ),
        pytest.param({"incidents": (QOS,)}, "incompatible QoS", QOS, WARN, id="one of two peers"),
        pytest.param(
            {"has_subscriber": False, "segmented": 0, "incidents": (QOS,)},
            "incompatible QoS",
            QOS,
            WARN,
            id="the only subscriber does not fit",
        ),
    ],
)
def test_each_cause_is_named(
    change: dict[str, object], cause: str, part: str, severity: Severity
) -> None:
    issue = explain_silence(replace(WORKING, **change), LIMITS)
    assert issue is not None
    assert issue.cause == cause
    assert part in issue.text
    assert issue.severity is severity


def test_limits_that_are_off() -> None:
    assert explain_silence(replace(WORKING, **LATE), Limits()) is None
    alone = explain_silence(replace(WORKING, **ALONE, silent_for=1e4), Limits())
    assert alone is not None
    assert alone.severity is WARN
