"""Loads a model beside the one in use, in a thread of its own."""

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
from tdnet_ros.rclpy_tools.log_throttle import describe
from tdnet_ros.rclpy_tools.process_memory import release_memory

# Seconds after which the memory of a replaced model is given back even if it is still in use.
REPLACED_WITHIN = 30.0


# Of weights and class map: modification time and size, None where there is no such file.
FileStates = tuple[tuple[int, int] | None, ...]


class ModelLoadError(TdnetError):
    """A model that could not be loaded beside the one in use."""


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready for its first frame.

    Attributes:
        settings: what it was built from.
        files: state of the files that the settings name, before they were read.
        segmenter: the model, warmed up.
    """

    settings: SegmenterSettings
    files: FileStates
    segmenter: StreamingSegmenter


def build_model(settings: SegmenterSettings) -> LoadedModel:
    """Build a model and warm it up; takes seconds, and minutes where the processor is busy.

    Raises:
        TdnetError: the model cannot be built; whatever a device raises passes through.
    """
    files = file_states(settings)
    segmenter = settings.build()
    segmenter.warm_up()
    return LoadedModel(settings, files, segmenter)


class ModelLoader:
    """Loads models for a coroutine of the executor, which goes on with its other callbacks.

    Args:
        wake: wakes the executor; called from the thread that loads.
        threads: number of threads for PyTorch and other runtimes; a new thread would begin with
            the one that a frame at work uses (`tdnet.frames.frame_io`).
    """

    def __init__(self, wake: Callable[[], None], threads: int) -> None:
        self._wake = wake
        self._threads = threads

    async def load(
        self, settings: SegmenterSettings, unless: FileStates | None = None
    ) -> LoadedModel | None:
        """Build and warm up a model.

        Args:
            settings: what it is built from.
            unless: state of the files that are loaded already; None: none is.

        Returns:
            The model; None where the files are still in that state.

        Raises:
            ModelLoadError: the model cannot be built; the message says why.
        """
        loaded: Future[LoadedModel | None] = Future()
        # A daemon, so that a file that never ends cannot keep the process from ending. Of the same
        # priority as all threads: one of lower priority that waits for a processor while it holds
        # the interpreter's lock would stall the frames.
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
        # Whatever it is, who waits must hear of it.
        except BaseException as error:
            # Only the text: the frames of the error hold the half-built model.
            loaded.set_exception(ModelLoadError(describe(error)))
            release_memory()
        finally:
            self._wake()


def file_states(settings: SegmenterSettings) -> FileStates:
    """Tell whether a file that settings name is another one than before, under the same name."""
    return tuple(_state(path) for path in (settings.weights, settings.class_map))


def _state(path: str) -> tuple[int, int] | None:
    try:
        # Beside exported graphs lies a file with the hashes of all.
        status = os.stat(os.path.join(path, DESCRIPTION_NAME) if os.path.isdir(path) else path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def give_back_once_unused(segmenter: StreamingSegmenter) -> None:
    """Return the memory of a model that was replaced, as soon as nothing holds it; waits not."""
    unused = threading.Event()
    weakref.finalize(segmenter, unused.set)

    def run() -> None:
        unused.wait(REPLACED_WITHIN)
        release_memory()

    threading.Thread(target=run, name="memory of the old model", daemon=True).start()
