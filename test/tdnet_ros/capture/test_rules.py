"""When a rule demands a capture, and when two frames show the same."""

from __future__ import annotations

import numpy as np
import pytest

from tdnet import ClassMap
from tdnet_ros.capture.rules import CaptureRules, Labels, Reason
from tdnet_ros.parameter_groups import CaptureSettings

CLASS_MAP = ClassMap.load("cityscapes")
ROAD, PERSON, RIDER, CAR = 0, 11, 12, 13
SIZE = (120, 160)


def picture(person: float = 0.0, rest: int = ROAD) -> Labels:
    """Labels with a share of persons in rows from below."""
    labels = np.full(SIZE, rest, np.uint8)
    labels[SIZE[0] - round(person * SIZE[0]) :] = PERSON
    return labels


def check(
    rules: CaptureRules,
    labels: Labels,
    *,
    confidence: float | None = None,
    continued: bool = True,
    **settings: object,
) -> Reason | None:
    shown = None if confidence is None else np.full(SIZE, round(confidence * 255), np.uint8)
    given = CaptureSettings(**settings)  # type: ignore[arg-type]
    return rules.check(given, CLASS_MAP, (labels, shown), continued=continued)


def test_a_low_mean_confidence_is_a_reason() -> None:
    rules = CaptureRules()
    reason = check(rules, picture(), confidence=0.4, low_confidence=0.5)
    assert reason == Reason(
        "low_confidence", "mean confidence 0.40, capture.low_confidence is 0.5"
    )
    assert check(rules, picture(), confidence=0.6, low_confidence=0.5) is None
    assert check(rules, picture(), confidence=0.4) is None
    assert check(rules, picture(), low_confidence=0.5) is None


def test_a_class_that_appears_is_a_reason_and_one_that_stays_is_none() -> None:
    rules, classes = CaptureRules(), ("car", "person")
    assert check(rules, picture(person=0.1), classes=classes) is None  # the first frame
    assert check(rules, picture(), classes=classes) is None
    reason = check(rules, picture(person=0.1), classes=classes)
    assert reason == Reason("new_class", "person appeared: 10.0% of the pixels", "person")
    assert check(rules, picture(person=0.2), classes=classes) is None
    assert check(rules, picture(rest=RIDER), classes=classes) is None
    assert check(rules, picture(person=0.1), classes=classes, continued=False) is None


def test_labels_that_jump_are_a_reason() -> None:
    rules = CaptureRules()
    assert check(rules, picture(), label_change=0.5) is None
    assert check(rules, picture(person=0.4), label_change=0.5) is None
    reason = check(rules, picture(rest=CAR), label_change=0.5)
    text = "100.0% of the labels changed, capture.label_change is 0.5"
    assert reason == Reason("label_change", text)
    assert check(rules, picture(), label_change=0.5, continued=False) is None
    smaller = np.full((60, 80), CAR, np.uint8)
    assert check(rules, smaller, label_change=0.5) is None  # another output_size


@pytest.mark.parametrize(("share", "new"), [(0.0, False), (0.03, False), (0.1, True)])
def test_a_frame_that_shows_the_same_is_no_new_reason(share: float, new: bool) -> None:
    rules, reason = CaptureRules(), Reason("label_change", "")
    check(rules, picture(person=0.3))
    assert rules.is_new(reason)
    rules.note(reason)
    check(rules, picture(rest=CAR))
    assert rules.is_new(reason)
    rules.note(reason)
    check(rules, picture(person=0.3 + share))
    assert rules.is_new(reason) is new
    # Another reason is another matter.
    assert rules.is_new(Reason("new_class", "", "person"))
    assert rules.is_new(Reason("new_class", "", "car"))
