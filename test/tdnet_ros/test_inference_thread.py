"""The only inference thread lives, whatever its work raises."""

from __future__ import annotations

import queue

from tdnet.mailbox import Mailbox
from tdnet_ros.inference_thread import InferenceThread

TIMEOUT = 20.0


def test_it_goes_on_after_an_error() -> None:
    mailbox: Mailbox[int] = Mailbox(["front"])
    done: queue.Queue[int] = queue.Queue()
    errors: queue.Queue[Exception] = queue.Queue()

    def work(camera: str, frame: int) -> None:
        if frame == 1:
            raise OSError("no space left on device")
        done.put(frame)

    def action() -> None:
        raise ValueError("no such topic")

    thread = InferenceThread(mailbox, work, errors.put)
    mailbox.put("front", 1)
    assert isinstance(errors.get(timeout=TIMEOUT), OSError)
    mailbox.before_next(action)
    assert isinstance(errors.get(timeout=TIMEOUT), ValueError)
    mailbox.put("front", 2)
    assert done.get(timeout=TIMEOUT) == 2
    mailbox.close()
    thread.join()
