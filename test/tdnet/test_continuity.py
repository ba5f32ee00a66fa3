from __future__ import annotations

import pytest

from tdnet.continuity import ContinuityPolicy, FrameInfo, ResetReason

SECOND = 1_000_000_000
FIRST = FrameInfo(10 * SECOND, (480, 640), "camera")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (FrameInfo(10 * SECOND + SECOND // 10, (480, 640), "camera"), None),
        (FrameInfo(10 * SECOND, (480, 640), "camera"), None),
        (FrameInfo(11 * SECOND, (480, 640), "camera"), None),
        (FrameInfo(11 * SECOND + 1, (480, 640), "camera"), ResetReason.GAP),
        (FrameInfo(10 * SECOND - 1, (480, 640), "camera"), ResetReason.STAMP_BACKWARDS),
        (FrameInfo(10 * SECOND + 1, (480, 641), "camera"), ResetReason.SIZE),
        (FrameInfo(10 * SECOND + 1, (480, 640), "rear"), ResetReason.FRAME_ID),
        (FrameInfo(None, (480, 640), "camera"), None),
    ],
    ids=["next", "same stamp", "at the limit", "gap", "backwards", "size", "id", "no stamp"],
)
def test_second_frame(frame: FrameInfo, expected: ResetReason | None) -> None:
    policy = ContinuityPolicy(max_gap=1.0)
    assert policy.check(FIRST) is ResetReason.START
    assert policy.check(frame) is expected
    assert policy.check(frame) is None


def test_a_wished_reset_is_answered_once() -> None:
    policy = ContinuityPolicy()
    policy.check(FIRST)
    policy.reset()
    assert policy.check(FIRST) is ResetReason.REQUESTED
    assert policy.check(FIRST) is None


def test_of_several_reasons_the_first_counts() -> None:
    policy = ContinuityPolicy()
    policy.reset(ResetReason.ACTIVATED)
    policy.reset(ResetReason.START)
    policy.reset(ResetReason.REQUESTED)
    assert policy.check(FIRST) is ResetReason.ACTIVATED


def test_the_gap_can_be_changed() -> None:
    policy = ContinuityPolicy(max_gap=1.0)
    policy.check(FIRST)
    policy.max_gap = 0.1
    assert policy.check(FrameInfo(10 * SECOND + SECOND // 5, (480, 640), "camera")) is (
        ResetReason.GAP
    )
