"""Each check finds its issue, and the list of checks reports no consequence of another issue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tdnet._util.percentiles import Percentiles
from tdnet_ros.camera.camera import UnfilledMemory
from tdnet_ros.camera.frame_trace import FrameCounts
from tdnet_ros.diagnostics import checks
from tdnet_ros.diagnostics.checks import (
    CAMERA_CHECKS,
    FEWEST_RESETS,
    NODE_CHECKS,
    dropped_frames,
    low_rate,
    memory_never_fills,
    no_frames,
    no_publisher,
    old_outputs,
    run_checks,
    stamps_of_another_clock,
    transport_loss,
    transport_remedy,
)
from tdnet_ros.diagnostics.input_topic import COMPRESSED, RAW
from tdnet_ros.diagnostics.issues import Issue, Severity
from tdnet_ros.diagnostics.snapshot import CameraSnapshot, NodeSnapshot
from tdnet_ros.parameter_groups import DiagnosticLimits
from tdnet_ros.parameters import NodeSettings

OK, WARN, ERROR = Severity
SETTINGS = NodeSettings(
    diagnostic_limits=DiagnosticLimits(
        rate_warn=10.0, rate_error=5.0, dropped_warn=0.6, dropped_error=0.8
    )
)
NO_LIMITS = NodeSettings(diagnostic_limits=DiagnosticLimits(*[0.0] * 9))
NOW_NS = 1_700_000_000_000_000_000
QOS = "the publisher of /image offers an incompatible QoS (DURABILITY)"


def age(milliseconds: float) -> Percentiles:
    return Percentiles(milliseconds, milliseconds, milliseconds, 1)


WORKING = CameraSnapshot(
    input_topic="/image",
    publisher_types={"/image": [RAW]},
    settings=SETTINGS,
    now_ns=NOW_NS,
    sums=FrameCounts(),
    counts=FrameCounts(received=100, segmented=60, dropped=40, overtaken=40),
    seconds=5.0,
    silent_for=0.1,
    latest=100,
    has_subscriber=True,
    age=age(100.0),
    recent_age=age(100.0),
)


def camera(**changes: Any) -> CameraSnapshot:
    """A camera that differs from a working one in fields of the snapshot or its counts."""
    counts = {k: changes.pop(k) for k in list(changes) if k in FrameCounts._fields}
    return replace(WORKING, counts=WORKING.counts._replace(**counts), **changes)


def test_a_working_camera_has_no_issue() -> None:
    assert run_checks(CAMERA_CHECKS, WORKING) == []
    some = camera(segmented=50, refused=10, last_error="bad")
    assert run_checks(CAMERA_CHECKS, some) == []


def test_points_that_cannot_be_published_are_a_warning() -> None:
    text = "no /tdnet/points: nothing arrives on /camera_info"
    (issue,) = run_checks(CAMERA_CHECKS, camera(geometry_problem=text))
    assert (issue.text, issue.severity, issue.final) == (text, WARN, False)


ALONE = {"publisher_types": {"/image": []}, "received": 0, "segmented": 0}
ELSEWHERE = {"publisher_types": {"/image": [], "/image/compressed": [COMPRESSED]}}
SILENT = {"received": 0, "segmented": 0, "silent_for": 4.0}
LATE = {**SILENT, "silent_for": 12.0}
IDLE = {"has_subscriber": False, "segmented": 0, "dropped": 100, "overtaken": 0}


@pytest.mark.parametrize(
    ("change", "cause", "part", "severity"),
    [
        pytest.param(ALONE, "no publisher", "no publisher of /image", WARN, id="no publisher"),
        pytest.param(ALONE | LATE, "no publisher", "remap", ERROR, id="long no publisher"),
        pytest.param(
            ALONE | ELSEWHERE,
            "misplaced images",
            f"but /image/compressed carries {COMPRESSED}",
            WARN,
            id="misplaced",
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
        pytest.param(IDLE, "no subscriber", "no output has a subscriber", OK, id="idle"),
        pytest.param({"incidents": (QOS,)}, "incompatible QoS", QOS, WARN, id="one of two peers"),
        pytest.param(
            IDLE | {"incidents": (QOS,)},
            "incompatible QoS",
            QOS,
            WARN,
            id="the only subscriber does not fit",
        ),
    ],
)
def test_why_nothing_is_published(
    change: dict[str, Any], cause: str, part: str, severity: Severity
) -> None:
    """One issue, although the same camera has no rate, too."""
    (issue,) = run_checks(CAMERA_CHECKS, camera(**change))
    assert issue.cause == cause
    assert part in issue.text
    assert issue.severity is severity


def test_an_idle_camera_can_lose_frames() -> None:
    lost, idle = run_checks(CAMERA_CHECKS, camera(**IDLE, lost=50))
    assert (lost.cause, idle.cause) == ("lost in transport", "no subscriber")


def test_silence_without_limits() -> None:
    assert no_frames(camera(**LATE, settings=NO_LIMITS)) is None
    alone = no_publisher(camera(**ALONE, silent_for=1e4, settings=NO_LIMITS))
    assert alone is not None
    assert alone.severity is WARN


@pytest.mark.parametrize(
    ("change", "cause", "parts", "severity"),
    [
        pytest.param(
            {"recent_age": age(700)},
            "age",
            ("0.70 s", "diagnostics.age_warn is 0.5"),
            WARN,
            id="old",
        ),
        pytest.param(
            {"recent_age": age(2500)}, "age", ("2.50 s", "age_error is 2"), ERROR, id="too old"
        ),
        pytest.param(
            {"segmented": 40}, "rate", ("8.0 of", "rate_warn is 10", "lighter"), WARN, id="slow"
        ),
        pytest.param({"segmented": 20}, "rate", ("4.0", "rate_error is 5"), ERROR, id="too slow"),
        pytest.param(
            {"segmented": 40, "received": 40, "dropped": 0, "overtaken": 0},
            "rate",
            ("the camera sends no more",),
            WARN,
            id="slow camera",
        ),
        pytest.param(
            {"dropped": 70, "overtaken": 70},
            "dropped",
            ("70 of 100", "dropped_warn is 0.6"),
            WARN,
            id="dropped",
        ),
        pytest.param(
            {"dropped": 90, "overtaken": 90}, "dropped", ("dropped_error",), ERROR, id="most"
        ),
        pytest.param(
            {"received": 1000, "dropped": 990},
            "dropped",
            ("40 of 50",),
            WARN,
            id="what max_rate drops does not count",
        ),
        pytest.param(
            {"lost": 25, "missing": 25},
            "lost in transport",
            (
                "25 of 125 frames of /image lost in transport in the last 5.0 s",
                "diagnostics.lost_warn is 0.1",
                "FASTDDS_DEFAULT_PROFILES_FILE",
            ),
            WARN,
            id="counted by the middleware",
        ),
        pytest.param(
            {"lost": 2, "missing": 25},
            "missing by stamps",
            ("about 25 of the latest 125 frames of /image are missing", "FASTDDS_DEFAULT_"),
            WARN,
            id="estimated by the stamps",
        ),
    ],
)
def test_what_is_beyond_a_limit(
    change: dict[str, Any], cause: str, parts: tuple[str, ...], severity: Severity
) -> None:
    (issue,) = run_checks(CAMERA_CHECKS, camera(**change))
    assert issue.cause == cause
    assert issue.severity is severity
    assert all(part in issue.text for part in parts), issue.text


@pytest.mark.parametrize(
    ("warn", "error", "seconds", "severity"),
    [
        pytest.param(1, 2, 1.0, None, id="at the warning"),
        pytest.param(1, 2, 1.5, WARN, id="above the warning"),
        pytest.param(1, 2, 2.5, ERROR, id="above the error"),
        pytest.param(0, 2, 1.5, None, id="no warning"),
        pytest.param(1, 0, 9.0, WARN, id="no error"),
    ],
)
def test_limits_from_above(
    warn: float, error: float, seconds: float, severity: Severity | None
) -> None:
    limits = DiagnosticLimits(age_warn=warn, age_error=error)
    issue = old_outputs(
        camera(recent_age=age(1e3 * seconds), settings=NodeSettings(diagnostic_limits=limits))
    )
    assert (issue and issue.severity) == severity


@pytest.mark.parametrize(
    ("warn", "error", "rate", "severity"),
    [
        pytest.param(5, 2, 5, None, id="at the warning"),
        pytest.param(5, 2, 3, WARN, id="below the warning"),
        pytest.param(5, 2, 0, ERROR, id="below the error"),
        pytest.param(5, 0, 0, WARN, id="no error"),
        pytest.param(0, 2, 3, None, id="no warning"),
    ],
)
def test_limits_from_below(
    warn: float, error: float, rate: int, severity: Severity | None
) -> None:
    limits = DiagnosticLimits(rate_warn=warn, rate_error=error)
    issue = low_rate(camera(segmented=5 * rate, settings=NodeSettings(diagnostic_limits=limits)))
    assert (issue and issue.severity) == severity


LIMITED = (old_outputs, low_rate, dropped_frames, transport_loss)


@pytest.mark.parametrize("check", LIMITED, ids=lambda check: check.__name__)
def test_limits_that_are_off(check: Callable[[CameraSnapshot], Issue | None]) -> None:
    bad = camera(
        recent_age=age(50_000), segmented=0, dropped=100, overtaken=100, lost=500, missing=500
    )
    assert check(bad) is not None
    assert check(replace(bad, settings=NO_LIMITS)) is None


def test_too_few_frames_are_no_measurement() -> None:
    few = camera(received=2, segmented=0, dropped=2, overtaken=2, lost=2, seconds=0.5)
    assert run_checks(CAMERA_CHECKS, few) == []


def test_the_most_severe_issue_is_first() -> None:
    found = run_checks(CAMERA_CHECKS, camera(recent_age=age(700), segmented=20))
    assert [issue.severity for issue in found] == [ERROR, WARN]


@pytest.mark.parametrize(
    ("max_gap", "parts"),
    [
        (0.4, ("0.50 s between", "memory.max_gap is 0.4", "set it to 0", "or to 0.8")),
        (0.0, ("0.50 s between", "memory.max_gap 0 allows 0.40 s", "set memory.max_gap to 0.8")),
    ],
)
def test_a_memory_that_never_fills(max_gap: float, parts: tuple[str, ...]) -> None:
    gaps = UnfilledMemory(FEWEST_RESETS, 0.5, 0.4)
    settings = replace(SETTINGS, max_gap=max_gap)
    (issue,) = run_checks(CAMERA_CHECKS, camera(unfilled=gaps, settings=settings))
    assert issue.severity is WARN
    assert all(part in issue.text for part in parts), issue.text


def test_a_few_gaps_are_no_fault() -> None:
    assert memory_never_fills(camera(unfilled=None)) is None
    assert memory_never_fills(camera(unfilled=UnfilledMemory(FEWEST_RESETS - 1, 5, 1))) is None


@pytest.mark.parametrize("ms", [-99.0, 0.0, 80.0, 30_000.0])
def test_an_age_that_can_be(ms: float) -> None:
    assert stamps_of_another_clock(camera(age=age(ms))) is None
    assert stamps_of_another_clock(camera(age=None)) is None


@pytest.mark.parametrize(
    ("ms", "part"),
    [
        pytest.param(1.7e12, "1.7e+09 s behind it; set use_sim_time", id="an old bag"),
        pytest.param(120_000.0, "120 s behind it", id="a recent bag"),
        pytest.param(-5_000.0, "5 s ahead of it", id="another machine's clock"),
    ],
)
def test_stamps_of_another_clock(ms: float, part: str) -> None:
    """A note, and no warning about an age of years."""
    (issue,) = run_checks(CAMERA_CHECKS, camera(age=age(ms), recent_age=age(ms)))
    assert "stamps are not of this clock" in issue.text
    assert part in issue.text
    assert issue.severity is OK


def test_a_simulated_clock_that_has_not_started() -> None:
    (issue,) = run_checks(CAMERA_CHECKS, camera(now_ns=0, age=None, recent_age=None))
    assert "nobody publishes /clock" in issue.text


@pytest.mark.parametrize(
    ("node", "severity", "text"),
    [
        pytest.param(
            NodeSnapshot("/tdnet", "inactive", failure="cannot activate: x", problems=("y",)),
            ERROR,
            "cannot activate: x",
            id="failure",
        ),
        pytest.param(
            NodeSnapshot("/tdnet", "active", problems=("the device failed", "out of memory")),
            ERROR,
            "the device failed; out of memory",
            id="problems",
        ),
        pytest.param(
            NodeSnapshot("/tdnet", "unconfigured", failure="cannot configure: x", loading=True),
            OK,
            "not active: the model is being loaded",
            id="loading",
        ),
        pytest.param(
            NodeSnapshot("/tdnet", "finalized"),
            WARN,
            "not active: the node is finalized; start it again",
            id="finalized",
        ),
    ],
)
def test_the_node(node: NodeSnapshot, severity: Severity, text: str) -> None:
    (issue,) = run_checks(NODE_CHECKS, node)
    assert (issue.severity, issue.text) == (severity, text)


def test_a_namesake_does_not_hide_the_state() -> None:
    found = run_checks(NODE_CHECKS, NodeSnapshot("/tdnet", "inactive", namesakes=1))
    assert [issue.cause for issue in found] == ["namesake", "not active"]


@pytest.mark.parametrize(
    ("middleware", "part"),
    [
        ("rmw_fastrtps_cpp", "config/fastdds_large_images.xml"),
        ("rmw_cyclonedds_cpp", "net.core.rmem_max"),
        ("rmw_zenoh_cpp", "ZENOH_CONFIG_OVERRIDE=transport/shared_memory/enabled=true"),
    ],
)
def test_the_remedy_against_loss_fits_the_middleware(
    monkeypatch: pytest.MonkeyPatch, middleware: str, part: str
) -> None:
    monkeypatch.setattr(checks, "get_rmw_implementation_identifier", lambda: middleware)
    assert part in transport_remedy()
