"""From where on a value is a warning or an error."""

from __future__ import annotations

import pytest

from tdnet_ros.limits import DiagnosticLimits, Limits, Severity
from tdnet_ros.settings import NodeSettings, ParameterError


@pytest.mark.parametrize(
    ("limits", "value", "severity", "limit"),
    [
        pytest.param(Limits(1, 2), 1.0, Severity.OK, 0, id="at the warning"),
        pytest.param(Limits(1, 2), 1.5, Severity.WARN, 1, id="above the warning"),
        pytest.param(Limits(1, 2), 2.5, Severity.ERROR, 2, id="above the error"),
        pytest.param(Limits(0, 2), 1.5, Severity.OK, 0, id="no warning"),
        pytest.param(Limits(1, 0), 9.0, Severity.WARN, 1, id="no error"),
        pytest.param(Limits(), 9.0, Severity.OK, 0, id="off"),
    ],
)
def test_what_should_be_small(
    limits: Limits, value: float, severity: Severity, limit: float
) -> None:
    assert limits.passed(value) == (severity, limit)


@pytest.mark.parametrize(
    ("limits", "value", "severity", "limit"),
    [
        pytest.param(Limits(5, 2), 5.0, Severity.OK, 0, id="at the warning"),
        pytest.param(Limits(5, 2), 3.0, Severity.WARN, 5, id="below the warning"),
        pytest.param(Limits(5, 2), 0.0, Severity.ERROR, 2, id="below the error"),
        pytest.param(Limits(5, 0), 0.0, Severity.WARN, 5, id="no error"),
        pytest.param(Limits(0, 2), 3.0, Severity.OK, 0, id="no warning"),
        pytest.param(Limits(), 0.0, Severity.OK, 0, id="off"),
    ],
)
def test_what_should_be_large(
    limits: Limits, value: float, severity: Severity, limit: float
) -> None:
    assert limits.missed(value) == (severity, limit)


def test_the_parameters_name_the_limits() -> None:
    limits = DiagnosticLimits(
        silence=Limits(1, 2), age=Limits(3, 4), rate=Limits(6, 5), dropped=Limits(0.1, 0.2)
    )
    values = NodeSettings(diagnostic_limits=limits).to_values()
    assert values["diagnostics.age_error"] == 4
    assert NodeSettings.from_values(values).diagnostic_limits == limits


@pytest.mark.parametrize(
    ("name", "warn", "error"),
    [("silence", 5.0, 4.0), ("age", 1.0, 0.5), ("dropped", 0.5, 0.4), ("rate", 2.0, 3.0)],
)
def test_an_error_before_its_warning_is_refused(name: str, warn: float, error: float) -> None:
    values = NodeSettings().to_values()
    names = f"diagnostics.{name}_warn", f"diagnostics.{name}_error"
    for given in ((warn, 0.0), (0.0, error), (warn, warn)):
        NodeSettings.from_values({**values, **dict(zip(names, given, strict=True))})
    with pytest.raises(ParameterError) as raised:
        NodeSettings.from_values({**values, **dict(zip(names, (warn, error), strict=True))})
    assert all(part in str(raised.value) for part in (*names, str(warn), str(error)))
