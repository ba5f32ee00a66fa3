"""What the node does when the device fails: the CPU stands in, and the device is tried again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from tdnet.errors import DeviceError
from tdnet.settings import SegmenterSettings
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.model.model_loading import ModelLoadError
from tdnet_ros.model.model_slot import ModelSlot
from tdnet_ros.rclpy_tools.log_throttle import one_line

# Frames in a row that the device may fail on before the CPU stands in.
FAILURES_ALLOWED = 2
# Seconds between two attempts to bring the model back.
RETRY_SECONDS = 60.0


class DeviceRecovery:
    """Follows how the device fares with the frames and brings the model back.

    A failure costs a frame: the next one starts a new memory. After more than `FAILURES_ALLOWED`
    in a row the CPU stands in, until the device can hold the model again. Where the CPU itself
    fails, each frame is another attempt.

    Args:
        model: the model in use.
        ask: asks the executor to run `fall_back`; called from the inference thread.
    """

    def __init__(self, model: ModelSlot, ask: Callable[[], None]) -> None:
        self._model = model
        self._ask = ask
        self._lock = threading.Lock()
        self._failures = 0
        self._last_error = ""
        self._asked = False
        self._fall_back_after = self._return_after = 0.0

    def restart(self) -> None:
        """Count failures from zero: another model is in use, or the device has more room."""
        with self._lock:
            self._failures = 0

    def worked(self) -> None:
        """Note that the device segmented a frame."""
        if self._failures:
            self.restart()

    def failed(self, error: DeviceError) -> None:
        """Note that the device failed on a frame."""
        with self._lock:
            self._failures += 1
            self._last_error = one_line(error)
            ask = not self._asked and self.due
            self._asked = self._asked or ask
        if ask:
            self._ask()

    @property
    def due(self) -> bool:
        """Whether the CPU should stand in."""
        model = self._model.active
        return (
            model is not None
            and model.segmenter.device.type != "cpu"
            and self._failures > FAILURES_ALLOWED
            and time.monotonic() >= self._fall_back_after
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the device now, a sentence each."""
        model = self._model.active
        with self._lock:
            found = []
            if model is not None and model.is_fallback:
                found.append(
                    f"device {model.settings.segmenter.device} failed, the CPU stands in: "
                    f"{self._last_error}; the device is tried again every {RETRY_SECONDS:.0f} s"
                )
            if self._failures:
                found.append(f"{self._last_error} ({self._failures} frames in a row)")
        return tuple(found)

    async def fall_back(self) -> ActiveModel | None:
        """Have the CPU stand in; None where there is no need any more.

        Raises:
            ModelLoadError: the CPU cannot hold the model either.
        """
        model = self._model.active
        try:
            if model is None or not self.due:
                return None
            self._return_after = time.monotonic() + RETRY_SECONDS
            wanted = model.settings.segmenter
            # Numbers chosen for one device may be slow or unknown on the other; what TensorRT,
            # which has no CPU, makes engines of is read by ONNX Runtime too.
            runtime = "onnxruntime" if wanted.runtime == "tensorrt" else wanted.runtime
            on_cpu = replace(wanted, device="cpu", precision="auto", runtime=runtime)
            return await self._use(on_cpu)
        except ModelLoadError:
            self._fall_back_after = time.monotonic() + RETRY_SECONDS
            raise
        finally:
            self._asked = False

    @property
    def return_due(self) -> bool:
        """Whether the CPU has stood in for so long that the device is tried again."""
        model = self._model.active
        return model is not None and model.is_fallback and time.monotonic() >= self._return_after

    async def return_to_device(self) -> ActiveModel | None:
        """Try the device that the CPU stands in for; None where it still fails."""
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
