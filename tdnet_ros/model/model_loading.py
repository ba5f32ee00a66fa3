"""Loading of a model in a thread of its own, beside the one in use."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import torch
from rclpy.task import Future

from tdnet.backends.onnx.description import DESCRIPTION_NAME
from tdnet.errors import TdnetError
from tdnet.segmenter import StreamingSegmenter
from tdnet.settings import SegmenterSettings
from tdnet_ros.rclpy_tools.node_log import describe
from tdnet_ros.rclpy_tools.process_memory import release_memory

# Seconds after which the memory of a replaced model is released even if it is still in use.
REPLACED_WITHIN = 30.0

# Of weights and class map: modification time and size, None if there is no such file.
FileStates = tuple[tuple[int, int] | None, ...]


class ModelLoadError(TdnetError):
    """A model that could not be loaded beside the one in use."""


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready for its first frame.

    Attributes:
        settings: that it was built from.
        files: states of the files that the settings name, before they were read.
        segmenter: the model, warmed up.
    """

    settings: SegmenterSettings
    files: FileStates
    segmenter: StreamingSegmenter


def build_model(settings: SegmenterSettings) -> LoadedModel:
    """Build a model and warm it up; takes seconds, and minutes where the processor is busy.

    Raises:
        TdnetError: the model cannot be built; other exceptions of a device pass through.
    """
    files = file_states(settings)
    segmenter = settings.build()
    segmenter.warm_up()
    return LoadedModel(settings, files, segmenter)


class ModelLoader:
    """Loads models for a coroutine of the executor, without blocking other callbacks.

    Args:
        wake: wakes the executor; called from the thread that loads.
        threads: number of threads for PyTorch and other runtimes; a new thread would inherit the
            single one that a frame at work uses (`tdnet.frames.frame_io`).
    """

    def __init__(self, wake: Callable[[], None], threads: int) -> None:
        self._wake = wake
        self._threads = threads

    async def load(
        self, settings: SegmenterSettings, unless: FileStates | None = None
    ) -> LoadedModel | None:
        """Build and warm up a model.

        Args:
            settings: of the model.
            unless: states of the files of a model that is loaded already; None: none is.

        Returns:
            The model; None if the files are still in those states.

        Raises:
            ModelLoadError: the model cannot be built.
        """
        loaded: Future[LoadedModel | None] = Future()
        # A daemon, so that a file that never ends cannot keep the process from ending. Of normal
        # priority: a thread of lower priority that holds the interpreter's lock while it waits for
        # a processor would stall the frames.
        threading.Thread(
            target=self._run, args=(settings, unless, loaded), name="model loader", daemon=True
        ).start()
        await loaded
        return loaded.result()

    def _run(
        self,
        settings: SegmenterSettings,
        unless: FileStates | None,
        loaded: Future[LoadedModel | None],
    ) -> None:
        try:
            torch.set_num_threads(self._threads)
            unchanged = file_states(settings) == unless
            loaded.set_result(None if unchanged else build_model(settings))
        # Always resolve the future, even on BaseException.
        except BaseException as error:
            # Only the text: the traceback holds the half-built model.
            loaded.set_exception(ModelLoadError(describe(error)))
            release_memory()
        finally:
            self._wake()


def file_states(settings: SegmenterSettings) -> FileStates:
    """Return the states of the files that settings name; a replaced file has another state."""
    return tuple(_state(path) for path in (settings.weights, settings.class_map))


def _state(path: str) -> tuple[int, int] | None:
    try:
        # In a folder of exported graphs one file has the hashes of all.
        status = os.stat(os.path.join(path, DESCRIPTION_NAME) if os.path.isdir(path) else path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def release_once_unused(segmenter: StreamingSegmenter) -> None:
    """Release the memory of a replaced model once nothing refers to it. Does not block."""
    unused = threading.Event()
    weakref.finalize(segmenter, unused.set)

    def run() -> None:
        unused.wait(REPLACED_WITHIN)
        release_memory()

    threading.Thread(target=run, name="memory of the old model", daemon=True).start()
