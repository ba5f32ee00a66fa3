"""What is beyond a limit is named with value, limit, parameter and remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tdnet_ros.camera.camera import UnfilledMemory
from tdnet_ros.diagnostics.issues import Severity
from tdnet_ros.diagnostics.performance import (
    FEWEST_RESETS,
    Performance,
    judge,
    judge_memory,
    judge_transport,
)
from tdnet_ros.parameters import DiagnosticLimits, Limits

GOOD = Performance(
    input_topic="/image",
    seconds=5.0,
    received=100,
    segmented=60,
    due=100,
    overtaken=40,
    lost=0,
    missing=0,
    latest=100,
    age=0.1,
)
LIMITS = DiagnosticLimits(
    age=Limits(0.5, 2.0),
    rate=Limits(10.0, 5.0, is_minimum=True),
    dropped=Limits(0.6, 0.8),
    lost=Limits(0.1),
)
WARN, ERROR = Severity.WARN, Severity.ERROR


def test_a_camera_within_the_limits() -> None:
    assert judge(GOOD, LIMITS) == []
    assert judge_transport(GOOD, LIMITS) == []
    assert judge(replace(GOOD, age=None), LIMITS) == []


@pytest.mark.parametrize(
    ("change", "cause", "parts", "severity"),
    [
        pytest.param(
            {"age": 0.7}, "age", ("0.70 s", "diagnostics.age_warn is 0.5"), WARN, id="old"
        ),
        pytest.param({"age": 2.5}, "age", ("2.50 s", "age_error is 2"), ERROR, id="too old"),
        pytest.param(
            {"segmented": 40},
            "rate",
            ("8.0 frames", "rate_warn is 10", "lighter"),
            WARN,
            id="slow",
        ),
        pytest.param({"segmented": 20}, "rate", ("4.0", "rate_error is 5"), ERROR, id="too slow"),
        pytest.param(
            {"segmented": 40, "received": 40, "due": 40, "overtaken": 0},
            "rate",
            ("the camera sends no more",),
            WARN,
            id="slow camera",
        ),
        pytest.param(
            {"overtaken": 70}, "dropped", ("70 of 100", "dropped_warn is 0.6"), WARN, id="dropped"
        ),
        pytest.param({"overtaken": 90}, "dropped", ("dropped_error",), ERROR, id="most dropped"),
        pytest.param(
            {"received": 1000, "due": 50},
            "dropped",
            ("40 of 50",),
            WARN,
            id="what max_rate drops does not count",
        ),
    ],
)
def test_what_is_beyond_a_limit(
    change: dict[str, float], cause: str, parts: tuple[str, ...], severity: Severity
) -> None:
    (issue,) = judge(replace(GOOD, **change), LIMITS)
    assert issue.cause == cause
    assert issue.severity is severity
    assert all(part in issue.text for part in parts), issue.text


def test_limits_that_are_off() -> None:
    off = DiagnosticLimits(age=Limits(), rate=Limits(), dropped=Limits(), lost=Limits())
    bad = replace(GOOD, age=50.0, segmented=0, overtaken=100, lost=500, missing=500)
    assert judge(bad, off) == []
    assert judge_transport(bad, off) == []


def test_too_few_frames_say_nothing() -> None:
    few = replace(GOOD, received=2, due=2, overtaken=2, lost=2, seconds=0.5, segmented=0)
    assert judge(few, LIMITS) == []
    assert judge_transport(few, LIMITS) == []


def test_what_the_middleware_lost_is_certain() -> None:
    (issue,) = judge_transport(replace(GOOD, lost=25, missing=25), LIMITS)
    assert issue.cause == "lost in transport"
    assert issue.severity is WARN
    assert "25 of 125 frames of /image lost in transport in the last 5.0 s" in issue.text
    assert "diagnostics.lost_warn is 0.1" in issue.text
    assert "FASTDDS_DEFAULT_PROFILES_FILE" in issue.text


def test_what_the_stamps_tell_is_an_estimate() -> None:
    (issue,) = judge_transport(replace(GOOD, lost=2, missing=25), LIMITS)
    assert issue.cause == "missing by stamps"
    assert "about 25 of the latest 125 frames of /image are missing" in issue.text
    assert "FASTDDS_DEFAULT_PROFILES_FILE" in issue.text


@pytest.mark.parametrize(
    ("max_gap", "parts"),
    [
        (0.4, ("0.50 s between", "memory.max_gap is 0.4", "set it to 0", "or to 0.8")),
        (0.0, ("0.50 s between", "memory.max_gap 0 allows 0.40 s", "set memory.max_gap to 0.8")),
    ],
)
def test_a_memory_that_never_fills(max_gap: float, parts: tuple[str, ...]) -> None:
    (issue,) = judge_memory(UnfilledMemory(FEWEST_RESETS, 0.5, 0.4), max_gap)
    assert issue.severity is WARN
    assert all(part in issue.text for part in parts), issue.text


def test_a_few_gaps_are_no_fault() -> None:
    assert judge_memory(None, 1.0) == []
    assert judge_memory(UnfilledMemory(FEWEST_RESETS - 1, 5.0, 1.0), 1.0) == []
