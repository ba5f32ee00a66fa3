"""Loads a model beside the one in use, in a thread of its own."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.task import Future

from tdnet.errors import TdnetError
from tdnet.settings import SegmenterSettings
from tdnet.streaming import StreamingSegmenter
from tdnet_ros.log_throttle import describe
from tdnet_ros.process_memory import give_back

# Added to the niceness of the process: the frames of the running model come first.
NICENESS = 10
# Seconds after which the memory of a replaced model is given back even if it is still in use.
REPLACED_WITHIN = 30.0


class ModelLoadError(TdnetError):
    """A model that could not be loaded beside the one in use."""


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready for its first frame.

    Attributes:
        settings: what it was built from.
        segmenter: the model, warmed up.
        seconds: that loading took.
    """

    settings: SegmenterSettings
    segmenter: StreamingSegmenter
    seconds: float


class ModelLoader:
    """Loads models for a coroutine of the executor, which goes on with its other callbacks.

    Args:
        wake: wakes the executor; called from the thread that loads.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    async def load(self, settings: SegmenterSettings) -> LoadedModel:
        """Build and warm up a model.

        Raises:
            ModelLoadError: the model cannot be built; the message says why.
        """
        loaded: Future[LoadedModel] = Future()
        # A daemon, so that a file that never ends cannot keep the process from ending.
        threading.Thread(
            target=self._run, args=(settings, loaded), name="model loader", daemon=True
        ).start()
        await loaded
        return loaded.result()

    def _run(self, settings: SegmenterSettings, loaded: Future[LoadedModel]) -> None:
        _yield_to_others()
        started = time.perf_counter()
        try:
            segmenter = settings.build()
            segmenter.warm_up()
        except Exception as error:
            # Only the text: the frames of the error hold the half-built model.
            loaded.set_exception(ModelLoadError(describe(error)))
            give_back()
        else:
            loaded.set_result(LoadedModel(settings, segmenter, time.perf_counter() - started))
        self._wake()


def give_back_once_unused(segmenter: StreamingSegmenter) -> None:
    """Return the memory of a model that was replaced, as soon as nothing holds it; waits not."""
    unused = threading.Event()
    weakref.finalize(segmenter, unused.set)

    def run() -> None:
        _yield_to_others()
        unused.wait(REPLACED_WITHIN)
        give_back()

    threading.Thread(target=run, name="memory of the old model", daemon=True).start()


def _yield_to_others() -> None:
    """Give this thread, and those that it starts, a lower priority."""
    # On Linux a thread has a niceness of its own; elsewhere it would be that of the process.
    if hasattr(os, "sched_getaffinity"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
