"""Each cause of silence is told from the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tdnet_ros.silence import SILENT_AFTER, CameraView, explain_silence

WORKING = CameraView(
    input_topic="/image",
    publishers=1,
    has_subscriber=True,
    idles=True,
    incidents=(),
    received=10,
    segmented=10,
    refused=0,
    last_error="",
    silent_for=0.0,
)
QOS = "the publisher of /image offers an incompatible QoS (DURABILITY)"


def test_a_working_camera_has_nothing_to_explain() -> None:
    assert explain_silence(WORKING) is None
    assert explain_silence(replace(WORKING, segmented=5, refused=5, last_error="bad")) is None


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"publishers": 0, "received": 0}, "no publisher of /image"),
        ({"received": 0, "incidents": (QOS,)}, QOS),
        ({"received": 0, "silent_for": SILENT_AFTER}, "lost in transport"),
        ({"segmented": 0, "refused": 3, "last_error": "unknown encoding"}, "unknown encoding"),
        ({"has_subscriber": False, "segmented": 0}, "nobody subscribes"),
    ],
)
def test_each_cause_is_named(change: dict[str, object], part: str) -> None:
    finding = explain_silence(replace(WORKING, **change))
    assert finding is not None
    assert part in finding.text
    assert finding.harmless == (part == "nobody subscribes")
