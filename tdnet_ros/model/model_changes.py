"""Every change of the model in use: the first one, new parameters, fallback and return."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter
from rclpy.task import Future

from tdnet.errors import TdnetError
from tdnet.settings import PACKAGED_PURPOSE
from tdnet_ros import node_parameters
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.model.device_recovery import RETRY_SECONDS, DeviceRecovery
from tdnet_ros.model.model_loading import ModelLoader
from tdnet_ros.model.model_slot import ModelSlot
from tdnet_ros.parameters import NodeSettings, find_spec
from tdnet_ros.rclpy_tools.node_log import LogThrottle, describe


class ModelChanges:
    """Loads and replaces the model of a node, one change at a time.

    A model is loaded in a coroutine: the executor serves images and other requests meanwhile. A
    change that fails leaves the model as it is.

    Args:
        group: a reentrant one, so that requests may overlap.
        threads: PyTorch's number of threads.
        loading: called before a model is loaded beside the one in use.
        replace: called with the old and the new model, or the same with other settings, once it
            is in use.
    """

    def __init__(
        self,
        node: LifecycleNode,
        group: CallbackGroup,
        threads: int,
        loading: Callable[[], None],
        replace: Callable[[ActiveModel, ActiveModel], None],
    ) -> None:
        self._node = node
        self._loading = loading
        self._replace = replace
        self._slot = ModelSlot(ModelLoader(self._wake, threads))
        self._lock = AsyncLock()
        self._throttle = LogThrottle()
        self._packaged_logged = False
        self.loading_first = False
        self._failing = node.create_guard_condition(self._fall_back, group)
        self.device = DeviceRecovery(self._slot, self._failing.trigger)
        node.create_timer(
            RETRY_SECONDS,
            self._return_to_device,
            callback_group=group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        node.add_on_set_parameters_callback(self._check)

    @property
    def active(self) -> ActiveModel | None:
        """The model in use; None while the node is unconfigured."""
        return self._slot.active

    async def load_first(self, needed: Callable[[], bool], then: Callable[[], None]) -> None:
        """Load the first model, if it is needed once earlier changes are done; call `then`."""
        async with self._lock:
            if needed():
                self.loading_first = True
                try:
                    await self._slot.load_first(node_parameters.read(self._node).segmenter)
                # Parameters that cannot be read: the transition reports them.
                except TdnetError:
                    pass
                finally:
                    self.loading_first = False
            try:
                then()
            finally:
                self._slot.forget()

    def configure(self, settings: NodeSettings) -> ActiveModel:
        """Use the first model; load it now if `load_first` has not.

        Raises:
            TdnetError: the model cannot be built, or the settings do not fit it.
        """
        model = self._slot.configure(settings)
        self.device.restart()
        return model

    def free(self) -> None:
        """Release every model."""
        self._slot.free()
        self.device.restart()

    def log_packaged(self, model: ActiveModel) -> None:
        """Log once the purpose of the packaged weights, if they are in use."""
        if model.built_from.uses_packaged_weights and not self._packaged_logged:
            self._packaged_logged = True
            self._node.get_logger().warning(f"packaged weights in use: {PACKAGED_PURPOSE}")

    async def set_together(self, changed: list[Parameter]) -> SetParametersResult:
        """Set parameters, all or none; a model is loaded for them while frames go on.

        Raises:
            ParameterError: a parameter is unknown or has the wrong type.
        """
        node_parameters.check_known(self._node, changed)
        if not node_parameters.needs_new_model(parameter.name for parameter in changed):
            return self._node.set_parameters_atomically(changed)
        async with self._lock:
            self._loading()
            try:
                self._check_change_allowed(changed)
                await self._slot.load(node_parameters.read(self._node, changed))
                return self._node.set_parameters_atomically(changed)
            # Not only TdnetError: the request must be answered after any exception.
            except Exception as error:
                reason = describe(error)
                if self._throttle.allows(reason):
                    self._node.get_logger().warning(f"the model stays as it is: {reason}")
                return SetParametersResult(successful=False, reason=reason)
            finally:
                self._slot.forget()
                # A failure while two models were on the device need not occur with one.
                self.device.restart()

    def apply(self, settings: NodeSettings) -> None:
        """Use the model that was prepared for the settings, which are in force now."""
        before = self._slot.active
        self._announce(before, self._slot.adopt(settings))

    def forget(self) -> None:
        """Release a model prepared for parameters that another validator refused."""
        self._slot.forget()

    def _check(self, changed: list[Parameter]) -> SetParametersResult:
        if not any(find_spec(parameter.name) for parameter in changed):
            return SetParametersResult(successful=True)
        try:
            self._check_change_allowed(changed)
            self._slot.prepare(node_parameters.read(self._node, changed))
        # Not only TdnetError: no exception may end the node.
        except Exception as error:
            return SetParametersResult(successful=False, reason=describe(error))
        return SetParametersResult(successful=True)

    def _check_change_allowed(self, changed: list[Parameter]) -> None:
        if self._slot.active is not None:
            node_parameters.check_change_allowed(self._node, changed)

    async def _fall_back(self) -> None:
        async with self._lock:
            before = self._slot.active
            self._loading()
            try:
                model = await self.device.fall_back()
            except Exception as error:
                self._node.get_logger().error(
                    f"the device failed, and so does the CPU: {describe(error)}"
                )
                return
            if model is not None:
                self._node.get_logger().error("; ".join(self.device.problems))
                self._announce(before, model)

    async def _return_to_device(self) -> None:
        if self.device.return_due:
            async with self._lock:
                before = self._slot.active
                self._announce(before, await self.device.return_to_device())

    def _announce(self, before: ActiveModel | None, model: ActiveModel | None) -> None:
        if before is None or model is None or model is before:
            return
        if model.segmenter is not before.segmenter:
            self.device.restart()
            self._node.get_logger().info(f"model changed: {model.describe()}")
            self.log_packaged(model)
        self._replace(before, model)

    def _wake(self) -> None:
        if self._node.executor is not None:
            self._node.executor.wake()


class AsyncLock:
    """Admits one coroutine at a time to an `async with` block, in the order of their arrival.

    For coroutines of one single-threaded executor: asyncio's lock needs a loop of its own.
    """

    def __init__(self) -> None:
        # The holder, then the waiting ones: executors resume coroutines in no certain order.
        self._line: deque[Future[None]] = deque()

    async def __aenter__(self) -> None:
        """Wait until all earlier coroutines have left, and enter."""
        turn: Future[None] = Future()
        self._line.append(turn)
        if len(self._line) > 1:
            await turn

    async def __aexit__(self, *error: object) -> None:
        """Admit the next one."""
        self._line.popleft()
        if self._line:
            self._line[0].set_result(None)
