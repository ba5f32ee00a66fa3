from __future__ import annotations

import pytest

from tdnet.continuity import AUTOMATIC_GAP, ContinuityPolicy, FrameInfo, ResetReason

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


def resets(gaps: list[float], max_gap: float = AUTOMATIC_GAP) -> list[int]:
    """Return the indices of the gaps that reset the memory of a stream."""
    policy = ContinuityPolicy(max_gap)
    now = 10 * SECOND
    policy.check(FrameInfo(now, (480, 640), "camera"))
    found = []
    for index, gap in enumerate(gaps):
        now += round(gap * SECOND)
        reason = policy.check(FrameInfo(now, (480, 640), "camera"))
        assert reason in (None, ResetReason.GAP)
        if reason:
            found.append(index)
    return found


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        pytest.param([0.1] * 20, [], id="fast"),
        pytest.param([0.1] * 9 + [1.1] + [0.1] * 9 + [30.0], [9, 19], id="fast, two breaks"),
        pytest.param([2.0] * 12, [0, 1, 2], id="slow: three gaps until the limit follows"),
        pytest.param([2.0] * 6 + [6.0, 2.0, 6.1], [0, 1, 2, 8], id="two of a slow camera missing"),
        pytest.param([0.5] * 6 + [1.5, 0.5, 1.6], [8], id="a little slow"),
        pytest.param([0.1] * 5 + [2.0] * 6, [5, 6, 7], id="slows down"),
        pytest.param([2.0] * 6 + [0.1] * 3 + [1.1], [0, 1, 2, 9], id="speeds up"),
        pytest.param([0.1, 30.0, 0.1, 30.0, 0.1, 30.0], [1, 3, 5], id="breaks do not add up"),
        pytest.param([9.9] * 5, [0, 1, 2], id="just a stream"),
        pytest.param([10.1] * 12, list(range(12)), id="single pictures"),
    ],
)
def test_the_automatic_limit_follows_the_rate(gaps: list[float], expected: list[int]) -> None:
    assert resets(gaps) == expected


@pytest.mark.parametrize(("max_gap", "expected"), [(1.0, 12), (0.4, 12), (2.0, 0)])
def test_an_explicit_limit_is_fixed(max_gap: float, expected: int) -> None:
    assert len(resets([2.0] * 12, max_gap)) == expected


def test_what_resets_for_another_reason_is_no_gap() -> None:
    """Pauses without a subscriber do not raise the limit."""
    policy = ContinuityPolicy()
    for index in range(6):
        policy.reset(ResetReason.IDLE)
        policy.check(FrameInfo(index * 8 * SECOND, (480, 640), "camera"))
    last = FrameInfo(42 * SECOND, (480, 640), "camera")
    assert policy.check(last) is ResetReason.GAP
    assert (policy.gap, policy.limit) == (2.0, 1.0)
