"""The message of a status, and log lines: an issue is logged once, when it has lasted."""

from __future__ import annotations

import pytest
from rclpy.logging import get_logger

from tdnet_ros.diagnostics.issues import (
    SETTLED_AFTER,
    Issue,
    IssueLog,
    Severity,
    summarize,
)
from tdnet_ros.rclpy_tools.node_log import LogThrottle

OK, WARN, ERROR = Severity
LONG = SETTLED_AFTER + 0.1


NOTE = Issue("note", "a note", OK)
IDLE = Issue("idle", "idle", OK, final=True)
WARNING, FAULT = Issue("slow", "slow", WARN), Issue("deaf", "deaf", ERROR)


@pytest.mark.parametrize(
    ("issues", "expected"),
    [
        pytest.param([], (OK, "10 Hz"), id="none"),
        pytest.param([NOTE], (OK, "10 Hz; a note"), id="a note"),
        pytest.param([NOTE, IDLE], (OK, "idle"), id="nothing to do"),
        pytest.param([WARNING, NOTE], (WARN, "slow"), id="a warning"),
        pytest.param([FAULT, WARNING], (ERROR, "deaf; slow"), id="an error and a warning"),
    ],
)
def test_the_message_of_a_status(issues: list[Issue], expected: tuple[Severity, str]) -> None:
    assert summarize(issues, "10 Hz") == expected


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if "[issue_log]" in line]


@pytest.fixture
def log() -> IssueLog:
    return IssueLog(get_logger("issue_log"), LogThrottle(period=0.0), now=0.0)


@pytest.mark.parametrize("severity", Severity, ids=lambda severity: severity.name)
def test_once_and_with_its_severity(
    log: IssueLog, severity: Severity, capfd: pytest.CaptureFixture[str]
) -> None:
    for step in range(40):
        log.update([Issue("age", f"{step} ms old", severity)], step / 10)
    (line,) = lines(capfd)
    assert {"OK": "INFO"}.get(severity.name, severity.name) in line


def test_not_before_it_has_lasted(log: IssueLog, capfd: pytest.CaptureFixture[str]) -> None:
    for step in range(100):
        found = [Issue("age", "old")] if step % 5 else []
        log.update(found, step / 10)
    assert lines(capfd) == []


def test_a_long_period_does_not_delay_it(log: IssueLog, capfd: pytest.CaptureFixture[str]) -> None:
    log.update([Issue("age", "old")], 60.0)
    assert len(lines(capfd)) == 1


def test_again_after_it_was_gone(log: IssueLog, capfd: pytest.CaptureFixture[str]) -> None:
    for now, found in ((1, True), (1 + LONG, True), (10, False), (20, True), (20 + LONG, True)):
        log.update([Issue("age", "old")] if found else [], float(now))
    assert len(lines(capfd)) == 2


def test_one_cause_does_not_hide_another(log: IssueLog, capfd: pytest.CaptureFixture[str]) -> None:
    log.update([Issue("age", "old"), Issue("rate", "slow")], LONG)
    assert [line.rsplit(": ", 1)[1] for line in lines(capfd)] == ["old", "slow"]


def test_what_was_logged_elsewhere_waits(capfd: pytest.CaptureFixture[str]) -> None:
    throttle = LogThrottle()
    log = IssueLog(get_logger("issue_log"), throttle, now=0.0)
    assert throttle.allows("refused: 3 bytes")
    log.update([Issue("refused", "refused: 4 bytes")], LONG)
    assert lines(capfd) == []
