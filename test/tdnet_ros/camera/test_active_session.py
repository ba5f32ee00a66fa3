"""The inference thread outlives its errors and keeps no frame."""

from __future__ import annotations

import queue
import threading
import weakref

import pytest
import torch
from support.ros_graph import wait_for

from tdnet.mailbox import Mailbox
from tdnet_ros.camera.active_session import InferenceThread

TIMEOUT = 20.0


def test_it_goes_on_after_an_error() -> None:
    mailbox: Mailbox[int] = Mailbox(["front"])
    done: queue.Queue[int] = queue.Queue()
    errors: queue.Queue[Exception] = queue.Queue()

    def work(frame: int) -> None:
        if frame == 1:
            raise OSError("no space left on device")
        done.put(frame)

    def action() -> None:
        raise ValueError("no such topic")

    thread = InferenceThread(mailbox, work, errors.put, 1)
    mailbox.put("front", 1)
    assert isinstance(errors.get(timeout=TIMEOUT), OSError)
    mailbox.before_next(action)
    assert isinstance(errors.get(timeout=TIMEOUT), ValueError)
    mailbox.put("front", 2)
    assert done.get(timeout=TIMEOUT) == 2
    mailbox.close()
    thread.join()


def test_it_waits_for_the_one_before_and_ends_its_own_wait_in_time() -> None:
    first: Mailbox[int] = Mailbox(["front"])
    second: Mailbox[int] = Mailbox(["front"])
    began, release = threading.Event(), threading.Event()
    done: queue.Queue[int] = queue.Queue()

    def get_stuck(frame: int) -> None:
        began.set()
        assert release.wait(TIMEOUT)
        done.put(frame)

    before = InferenceThread(first, get_stuck, pytest.fail, 1)
    first.put("front", 1)
    assert began.wait(TIMEOUT)
    first.close()
    before.join(0.1)
    assert before.is_alive()
    after = InferenceThread(second, done.put, pytest.fail, 1, before)
    second.put("front", 2)
    after.join(0.1)
    assert done.empty()
    release.set()
    assert [done.get(timeout=TIMEOUT) for _ in range(2)] == [1, 2]
    second.close()
    after.join(TIMEOUT)
    assert not before.is_alive()
    assert not after.is_alive()


class Frame:
    """Anything that can be referred to weakly."""


def test_it_keeps_no_frame_while_it_waits() -> None:
    """A frame refers to its model, which may be replaced meanwhile."""
    mailbox: Mailbox[Frame] = Mailbox(["front"])
    thread = InferenceThread(mailbox, lambda frame: None, pytest.fail, 1)
    frame = Frame()
    kept = weakref.ref(frame)
    mailbox.put("front", frame)
    del frame
    wait_for(lambda: kept() is None, "the frame to be released")
    mailbox.close()
    thread.join(TIMEOUT)


def test_it_has_all_threads_whenever_it_starts(three_threads: None) -> None:
    """Another thread that works on a frame on a CPU sets the number for all that start then."""
    mailbox: Mailbox[int] = Mailbox(["front"])
    seen: queue.Queue[int] = queue.Queue()
    torch.set_num_threads(1)
    thread = InferenceThread(
        mailbox, lambda frame: seen.put(torch.get_num_threads()), pytest.fail, 3
    )
    mailbox.put("front", 1)
    assert seen.get(timeout=TIMEOUT) == 3
    mailbox.close()
    thread.join(TIMEOUT)
