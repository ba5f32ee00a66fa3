"""A issue is logged once, when it has lasted."""

from __future__ import annotations

import pytest
from rclpy.logging import get_logger

from tdnet_ros.diagnostics.issue_log import SETTLED_AFTER, IssueLog
from tdnet_ros.diagnostics.issues import Issue, Severity
from tdnet_ros.rclpy_tools.log_throttle import LogThrottle

LONG = SETTLED_AFTER + 0.1


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if "[finding_log]" in line]


@pytest.fixture
def log() -> IssueLog:
    return IssueLog(get_logger("finding_log"), LogThrottle(period=0.0), now=0.0)


@pytest.mark.parametrize("severity", Severity, ids=lambda severity: severity.name)
def test_once_and_with_its_severity(
    log: IssueLog, severity: Severity, capfd: pytest.CaptureFixture[str]
) -> None:
    for step in range(40):
        log.note([Issue("age", f"{step} ms old", severity)], step / 10)
    (line,) = lines(capfd)
    assert {"OK": "INFO"}.get(severity.name, severity.name) in line


def test_not_before_it_has_lasted(log: IssueLog, capfd: pytest.CaptureFixture[str]) -> None:
    for step in range(100):
        found = [Issue("age", "old")] if step % 5 else []
        log.note(found, step / 10)
    assert lines(capfd) == []


def test_a_long_period_does_not_delay_it(log: IssueLog, capfd: pytest.CaptureFixture[str]) -> None:
    log.note([Issue("age", "old")], 60.0)
    assert len(lines(capfd)) == 1


def test_again_after_it_was_gone(log: IssueLog, capfd: pytest.CaptureFixture[str]) -> None:
    for now, found in ((1, True), (1 + LONG, True), (10, False), (20, True), (20 + LONG, True)):
        log.note([Issue("age", "old")] if found else [], float(now))
    assert len(lines(capfd)) == 2


def test_one_cause_does_not_hide_another(log: IssueLog, capfd: pytest.CaptureFixture[str]) -> None:
    log.note([Issue("age", "old"), Issue("rate", "slow")], LONG)
    assert [line.rsplit(": ", 1)[1] for line in lines(capfd)] == ["old", "slow"]


def test_what_was_logged_elsewhere_waits(capfd: pytest.CaptureFixture[str]) -> None:
    throttle = LogThrottle()
    log = IssueLog(get_logger("finding_log"), throttle, now=0.0)
    assert throttle.allows("refused: 3 bytes")
    log.note([Issue("refused", "refused: 4 bytes")], LONG)
    assert lines(capfd) == []
