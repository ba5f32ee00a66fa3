"""Recovery from a device that fails: fallback to the CPU, and later attempts to return."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from tdnet.backends import AUTO, TORCH
from tdnet.errors import DeviceError
from tdnet.settings import SegmenterSettings
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.model.model_loading import ModelLoadError
from tdnet_ros.model.model_slot import ModelSlot
from tdnet_ros.rclpy_tools.node_log import one_line

# Frames in a row that the device may fail on before the CPU replaces it.
FAILURES_ALLOWED = 2
# Seconds between two attempts to return to the device.
RETRY_SECONDS = 60.0


class DeviceRecovery:
    """Counts failures of the device, falls back to the CPU, and returns to the device.

    A failure costs a frame: the next one starts a new memory. After more than `FAILURES_ALLOWED`
    in a row the CPU replaces the device, until the device can hold the model again. If the CPU
    itself fails, each frame is another attempt.

    `request` makes the executor run `fall_back`; it is called from the inference thread.
    """

    def __init__(self, model: ModelSlot, request: Callable[[], None]) -> None:
        self._model = model
        self._request = request
        self._lock = threading.Lock()
        self._failures = 0
        self._last_error = ""
        self._requested = False
        self._fall_back_after = self._return_after = 0.0

    def restart(self) -> None:
        """Count failures from zero: another model is in use, or memory of the device is free."""
        with self._lock:
            self._failures = 0

    def worked(self) -> None:
        """Count a frame that the device segmented."""
        if self._failures:
            self.restart()

    def failed(self, error: DeviceError) -> None:
        """Count a frame that the device failed on."""
        with self._lock:
            self._last_error = one_line(error)
            self._failures += 1
            request = not self._requested and self.due
            self._requested = self._requested or request
        if request:
            self._request()

    @property
    def due(self) -> bool:
        """Whether the CPU should replace the device."""
        model = self._model.active
        return (
            model is not None
            and model.segmenter.device.type != "cpu"
            and self._failures > FAILURES_ALLOWED
            and time.monotonic() >= self._fall_back_after
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """Problems of the device now, a sentence each."""
        model = self._model.active
        failures, last_error, found = self._failures, self._last_error, []
        if model is not None and model.is_fallback:
            found.append(
                f"device {model.settings.segmenter.device} failed, the CPU replaces it: "
                f"{last_error}; the device is tried again every {RETRY_SECONDS:.0f} s"
            )
        if failures:
            found.append(f"{last_error} ({failures} frames in a row)")
        return tuple(found)

    async def fall_back(self) -> ActiveModel | None:
        """Move the model to the CPU; return None if a fallback is no longer due.

        Raises:
            ModelLoadError: the CPU cannot hold the model either.
        """
        model = self._model.active
        try:
            if model is None or not self.due:
                return None
            self._return_after = time.monotonic() + RETRY_SECONDS
            wanted = model.settings.segmenter
            # A precision chosen for one device may be slow or unknown on the other.
            # PyTorch needs no export, which would take seconds without labels.
            runtime = TORCH if wanted.runtime == AUTO else wanted.runtime
            if os.path.isdir(wanted.weights):
                runtime = wanted.runtime
            on_cpu = replace(
                wanted, device="cpu", precision="auto", runtime=runtime, provider="auto"
            )
            return await self._use(on_cpu)
        except ModelLoadError:
            self._fall_back_after = time.monotonic() + RETRY_SECONDS
            raise
        finally:
            self._requested = False

    @property
    def return_due(self) -> bool:
        """Whether it is time to try the device again."""
        model = self._model.active
        return model is not None and model.is_fallback and time.monotonic() >= self._return_after

    async def return_to_device(self) -> ActiveModel | None:
        """Move the model back to the device; None if the device still fails."""
        model = self._model.active
        if model is None or not model.is_fallback:
            return None
        try:
            return await self._use(model.settings.segmenter)
        except ModelLoadError:
            return None

    async def _use(self, settings: SegmenterSettings) -> ActiveModel | None:
        model = await self._model.load_elsewhere(settings)
        if model is not None:
            self.restart()
        return model
