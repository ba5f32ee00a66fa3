"""Jobs beside another thread: one at a time, in order, none forgotten."""

from __future__ import annotations

import threading

import pytest

from tdnet_ros.camera.encoder_thread import EncoderThread


@pytest.fixture
def done() -> list[str]:
    return []


def test_jobs_run_beside_and_in_order(done: list[str]) -> None:
    side, go_on = EncoderThread("beside"), threading.Event()
    names: list[str] = []

    def first() -> None:
        assert go_on.wait(20)
        names.append(threading.current_thread().name)
        done.append("first")

    side.start(first)
    assert done == []  # it waits for what follows: started is not done
    threading.Timer(0.05, go_on.set).start()
    side.start(lambda: done.append("second"))
    assert done[0] == "first"  # handing over the second has waited
    side.wait()
    assert done == ["first", "second"]
    assert names[0].startswith("beside")
    side.close()


def test_the_end_waits_for_the_job_at_work(done: list[str]) -> None:
    side, go_on = EncoderThread("beside"), threading.Event()

    def slow() -> None:
        assert go_on.wait(20)
        done.append("slow")

    side.start(slow)
    threading.Timer(0.05, go_on.set).start()
    side.close()
    assert done == ["slow"]
    assert not any(thread.name.startswith("beside") for thread in threading.enumerate())


def test_without_a_job_nothing_waits() -> None:
    before = threading.active_count()
    side = EncoderThread("beside")
    side.wait()
    side.close()
    assert threading.active_count() == before


def test_a_job_that_fails_keeps_none_after_it(done: list[str]) -> None:
    side = EncoderThread("beside")
    side.start(lambda: done.pop())
    side.start(lambda: done.append("second"))
    side.start(lambda: done.append("third"))
    side.wait()
    assert done == ["second", "third"]
    side.close()


def test_no_job_waits_for_a_thread_that_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch, done: list[str]
) -> None:
    side = EncoderThread("beside")

    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    side.start(lambda: done.append("done"))
    side.wait()
    assert done == ["done"]
    side.close()
    with pytest.raises(RuntimeError, match="start new thread"):
        EncoderThread("another")
