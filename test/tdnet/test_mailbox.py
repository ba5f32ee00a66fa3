"""The newest frame of each camera, in fair turns, between two threads."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tdnet.mailbox import LONG_SECONDS, Mailbox


def test_a_newer_frame_takes_the_place_of_an_older() -> None:
    mailbox: Mailbox[int] = Mailbox(["front"])
    assert mailbox.put("front", 1) is None
    assert mailbox.put("front", 2) == 1
    assert mailbox.take() == ("front", 2)


def test_cameras_take_turns() -> None:
    mailbox: Mailbox[int] = Mailbox(["front", "left", "rear"])
    served = []
    for item in range(9):
        for camera in ("front", "left", "rear") if item % 3 == 0 else ("front",):
            mailbox.put(camera, item)
        taken = mailbox.take()
        assert taken is not None
        served.append(taken[0])
    assert Counter(served) == {"front": 3, "left": 3, "rear": 3}


def test_a_camera_pauses_after_a_frame_that_kept_others_waiting() -> None:
    mailbox: Mailbox[int] = Mailbox(["front", "left", "rear"])
    mailbox.put("front", 0)
    assert mailbox.take() == ("front", 0)
    began = time.perf_counter()
    time.sleep(1.1 * LONG_SECONDS)
    took = time.perf_counter() - began
    # Meanwhile the others had one frame each, and more come while it pauses.
    served = []
    for camera in ("front", "left", "rear"):
        mailbox.put(camera, 1)
    while not served or served[-1] != "front":
        camera, _ = mailbox.take() or ("", 0)
        served.append(camera)
        if camera == "left":
            time.sleep(0.001)
            mailbox.put("left", 2)
    assert served[:2] == ["left", "rear"]
    assert len(served) > 3
    assert time.perf_counter() - began >= 3 * took


def test_a_camera_alone_does_not_pause() -> None:
    mailbox: Mailbox[int] = Mailbox(["front", "rear"])
    for item in range(3):
        mailbox.put("front", item)
        assert mailbox.take() == ("front", item)
        time.sleep(1.1 * LONG_SECONDS)
    assert mailbox.close() == []


@pytest.mark.parametrize("wake", ["action", "close"])
def test_what_must_not_wait_for_a_pause_does_not(wake: str) -> None:
    mailbox: Mailbox[int] = Mailbox(["front", "rear"])
    mailbox.put("front", 0)
    mailbox.take()
    time.sleep(1.1 * LONG_SECONDS)
    mailbox.put("rear", 0)
    assert mailbox.take() == ("rear", 0)
    mailbox.put("front", 1)
    done: list[object] = []
    if wake == "action":
        mailbox.before_next(lambda: done.append("action"))
    else:
        mailbox.close()
    done.append(mailbox.take())
    assert done == (["action", ("front", 1)] if wake == "action" else [None])


def test_close_wakes_the_taker_and_drops_what_waits() -> None:
    mailbox: Mailbox[int] = Mailbox(["front"])
    taken: list[object] = []
    taker = threading.Thread(target=lambda: taken.append(mailbox.take()))
    taker.start()
    assert mailbox.close() == []
    taker.join(10)
    assert taken == [None]
    assert mailbox.put("front", 1) == 1
    assert mailbox.take() is None

    other: Mailbox[int] = Mailbox(["front", "rear"])
    other.put("rear", 1)
    assert other.clear() == ["rear"]
    other.put("rear", 2)
    assert other.close() == ["rear"]


def test_a_waiting_taker_gets_the_frame() -> None:
    mailbox: Mailbox[str] = Mailbox(["front"])
    taken: list[object] = []
    taker = threading.Thread(target=lambda: taken.append(mailbox.take()))
    taker.start()
    mailbox.put("front", "frame")
    taker.join(10)
    assert taken == [("front", "frame")]


@given(st.lists(st.sampled_from(["take", "front", "rear"]), max_size=60))
def test_every_frame_is_taken_replaced_or_waiting(actions: list[str]) -> None:
    mailbox: Mailbox[int] = Mailbox(["front", "rear"])
    put, taken, replaced = 0, 0, 0
    waiting: dict[str, int] = {}
    for number, action in enumerate(actions):
        if action == "take":
            if waiting:
                camera, item = mailbox.take() or ("", -1)
                assert waiting.pop(camera) == item
                taken += 1
        else:
            put += 1
            replaced += mailbox.put(action, number) is not None
            waiting[action] = number
    assert put == taken + replaced + len(waiting)
    assert len(mailbox.close()) == len(waiting)
