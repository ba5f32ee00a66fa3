"""Limits of measured values."""

from __future__ import annotations

import pytest

from tdnet_ros.diagnostics.issues import Severity, beyond
from tdnet_ros.parameters import Limits

OK, WARN, ERROR = Severity


@pytest.mark.parametrize(
    ("limits", "value", "severity", "limit"),
    [
        pytest.param(Limits(1, 2), 1.0, OK, 0, id="at the warning"),
        pytest.param(Limits(1, 2), 1.5, WARN, 1, id="above the warning"),
        pytest.param(Limits(1, 2), 2.5, ERROR, 2, id="above the error"),
        pytest.param(Limits(0, 2), 1.5, OK, 0, id="no warning"),
        pytest.param(Limits(1, 0), 9.0, WARN, 1, id="no error"),
        pytest.param(Limits(), 9.0, OK, 0, id="off"),
        pytest.param(Limits(5, 2, True), 5.0, OK, 0, id="at the least"),
        pytest.param(Limits(5, 2, True), 3.0, WARN, 5, id="below the warning"),
        pytest.param(Limits(5, 2, True), 0.0, ERROR, 2, id="below the error"),
        pytest.param(Limits(5, 0, True), 0.0, WARN, 5, id="least, no error"),
        pytest.param(Limits(0, 2, True), 3.0, OK, 0, id="least, no warning"),
        pytest.param(Limits(0, 0, True), 0.0, OK, 0, id="least, off"),
    ],
)
def test_a_value_beyond_its_limits(
    limits: Limits, value: float, severity: Severity, limit: float
) -> None:
    assert beyond(limits, value) == (severity, limit)
