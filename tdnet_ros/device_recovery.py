"""What the node does when the device fails: go on, load the model anew, or use the CPU."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tdnet.errors import DeviceError
from tdnet_ros.frame_pipeline import Recipe
from tdnet_ros.live_model import LiveModel
from tdnet_ros.log_throttle import one_line
from tdnet_ros.model_loading import ModelLoadError

# Frames in a row that the device may fail on before the model is loaded anew.
FAILURES_ALLOWED = 2
# Seconds between two attempts to leave the CPU again.
RETRY_SECONDS = 60.0
STAND_IN = "cpu"


class DeviceRecovery:
    """Follows how the device fares with the frames and brings the model back.

    A single failure costs a frame: the next one starts a new memory. More than
    `FAILURES_ALLOWED` in a row have the model loaded anew, on its device and, where that is no
    help, on the CPU, from which it returns by itself once the device can hold it again.

    Args:
        model: the model in use.
        ask: asks the executor to run `recover`; called from the inference thread.
    """

    def __init__(self, model: LiveModel, ask: Callable[[], None]) -> None:
        self._model = model
        self._ask = ask
        self._lock = threading.Lock()
        self._failures = 0
        self._last_error = ""
        self._loaded_anew = False
        self._standing_in = ""

    def restart(self) -> None:
        """Forget what happened: another model, or none, is in use."""
        with self._lock:
            self._failures = 0
            self._loaded_anew = False
            self._standing_in = ""

    def worked(self) -> None:
        """Note that the device segmented a frame."""
        if self._failures or self._loaded_anew:
            with self._lock:
                self._failures = 0
                self._loaded_anew = False

    def failed(self, error: DeviceError) -> None:
        """Note that the device failed on a frame."""
        with self._lock:
            self._failures += 1
            self._last_error = one_line(error)
            due = self._failures > FAILURES_ALLOWED
        if due:
            self._ask()

    @property
    def due(self) -> bool:
        """Whether the device failed so often that the model has to be loaded anew."""
        return self._failures > FAILURES_ALLOWED

    @property
    def stands_in(self) -> bool:
        """Whether the CPU does the work of a device that failed."""
        return bool(self._standing_in)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the device now, a sentence each."""
        with self._lock:
            found = [self._standing_in] if self._standing_in else []
            if self._failures:
                found.append(f"{self._last_error} ({self._failures} frames in a row)")
        return tuple(found)

    async def recover(self) -> Recipe | None:
        """Load the model anew after failures; None where nothing is left to do.

        Raises:
            ModelLoadError: neither its device nor the CPU can hold the model.
        """
        if self._model.recipe is None or not self.due:
            return None
        wanted = self._model.recipe.settings.segmenter.device
        # The same device only once without a frame that worked in between.
        if not self._loaded_anew:
            try:
                return await self._use(wanted)
            except ModelLoadError as error:
                self._last_error = one_line(error)
        return await self._use(STAND_IN)

    async def return_to_device(self) -> Recipe | None:
        """Try the device that the CPU stands in for; None where it still fails."""
        if self._model.recipe is None or not self.stands_in:
            return None
        try:
            return await self._use(self._model.recipe.settings.segmenter.device)
        except ModelLoadError:
            return None

    async def _use(self, device: str) -> Recipe | None:
        loaded = await self._model.load_again(device=device)
        recipe = self._model.use_instead(loaded)
        if recipe is None:
            return None
        wanted = recipe.settings.segmenter.device
        with self._lock:
            self._failures = 0
            self._loaded_anew = True
            self._standing_in = (
                ""
                if device == wanted
                else f"device {wanted} failed, {device} stands in: {self._last_error}; the device "
                f"is tried again every {RETRY_SECONDS:.0f} s"
            )
        return recipe
