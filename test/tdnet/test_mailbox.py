"""The newest frame of each camera, in fair turns, between two threads."""

from __future__ import annotations

import threading
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tdnet.mailbox import Mailbox


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
