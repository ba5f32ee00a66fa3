"""The lifecycle node that segments camera images."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence

from tdnet._util.openmp import prefer_passive_waiting

if __name__ == "__main__":
    prefer_passive_waiting()  # the imports below load PyTorch

import torch
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from tdnet.continuity import ResetReason
from tdnet.errors import TdnetError
from tdnet_ros import node_parameters
from tdnet_ros.camera.active_session import OUTLASTING, ActiveSession, InferenceThread
from tdnet_ros.camera.camera import Camera
from tdnet_ros.camera.outputs import ClassOutputs
from tdnet_ros.capture.captures import Captures
from tdnet_ros.diagnostics.diagnostics import Diagnostics
from tdnet_ros.diagnostics.snapshot import NodeSnapshot
from tdnet_ros.model.active_model import ActiveModel
from tdnet_ros.model.model_changes import ModelChanges
from tdnet_ros.process import Start, run
from tdnet_ros.rclpy_tools.manager_bond import ManagerBond, check_bondpy
from tdnet_ros.rclpy_tools.node_log import RosLogHandler, describe, one_line
from tdnet_ros.rclpy_tools.process_memory import release_memory
from tdnet_ros.rclpy_tools.transition_requests import serve_transitions

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE


class SegmentNode(LifecycleNode):
    """Segments the images of one or several cameras with one network.

    configure loads the model, activate opens the subscriptions, deactivate closes them, cleanup
    frees the model.

    Args:
        parameter_overrides: take precedence over command line and files.
        start: of a process that can renew the node; None: it is not renewed.

    Raises:
        TdnetError: a parameter has a value that is not allowed.
    """

    def __init__(
        self,
        name: str = "tdnet",
        *,
        parameter_overrides: list[Parameter] | None = None,
        start: Start | None = None,
    ) -> None:
        self._process = start or Start()
        overrides = parameter_overrides or list(self._process.parameters)
        super().__init__(name, context=self._process.context, parameter_overrides=overrides)
        self._log_handler = RosLogHandler(self.get_logger())
        logging.getLogger("tdnet").setLevel(logging.INFO)
        logging.getLogger("tdnet").addHandler(self._log_handler)
        self._finalized = False
        self._failure = ""
        self._cameras: dict[str, Camera] = {}
        self._class_outputs: ClassOutputs | None = None
        self._session: ActiveSession | None = None
        self._bond: ManagerBond | None = None
        # The inference thread of the activation before, if it outlasted that one.
        self._outlasting: InferenceThread | None = None
        # Requests in it overlap, and do not block the callbacks of the node's own group.
        group = ReentrantCallbackGroup()
        self._captures = Captures(self, group)
        # Before any thread of the node works on a frame: on a CPU it sets the number to one.
        self._threads = torch.get_num_threads()
        try:
            settings = node_parameters.declare(self)
        except TdnetError:
            self.destroy_node()
            raise
        if unknown := node_parameters.unknown_overrides(self):
            self.get_logger().warning(one_line(unknown))
        self._model = ModelChanges(
            self, group, self._threads, self._restart_gaps, self._replace_model
        )
        node_parameters.SetParametersServices(self, self._model.set_together)
        self._diagnostics = Diagnostics(self, self._snapshot, settings.diagnostics_period)
        serve_transitions(self, self._load_first, group)
        self.create_service(Trigger, "~/reset_memory", self._reset_memory)
        self.create_service(SetBool, "~/enable", self._enable)
        # A node is renewed only while it is active.
        if settings.autostart or self._process.renewals:
            self._autostart = self.create_guard_condition(self._start, group)
            self._autostart.trigger()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Create the output topics; load the model if `_load_first` has not."""
        try:
            settings = node_parameters.read(self)
            if settings.bond:
                check_bondpy()
            model = self._model.configure(settings)
            self._class_outputs = ClassOutputs(self)
            for name in settings.cameras or ("",):
                transport = settings.of_camera(name).image_transport
                self._cameras[name] = Camera(self, name, transport, self._captures)
            result = super().on_configure(state)
        # Any exception, not only TdnetError, leaves the node unconfigured.
        except Exception as error:
            self._free()
            return self._failed("configure", error)
        self.get_logger().info(f"configured: {model.describe()}")
        self._model.log_packaged(model)
        self._failure = ""
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Receive frames, each camera with an empty memory."""
        model = self._model.active
        if model is None:
            return FAILURE
        try:
            result = super().on_activate(state)
            self._session = ActiveSession(
                self,
                self._cameras,
                model,
                self._model.device,
                self._threads,
                self._process,
                self._outlasting,
            )
            self._publish_classes(model)
            if model.settings.bond:
                self._bond = ManagerBond(self)
        except Exception as error:
            self._deactivate()
            super().on_deactivate(state)
            return self._failed("activate", error)
        self._diagnostics.restart()
        topics = ", ".join(camera.input_topic for camera in self._cameras.values())
        self.get_logger().info(f"active: waiting for images on {topics}")
        self._failure = ""
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Receive no more frames and publish nothing more, including the frame at work."""
        self._deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and remove the output topics."""
        self._free()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End for good, from any state."""
        self._free()
        self._finalized = True
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured after an error within a transition."""
        self._free()
        self._finalized = False
        # rclpy does not report the exception.
        self._failure = f"error in a transition from {state.label}: the node is unconfigured again"
        self.get_logger().error(self._failure)
        return super().on_error(state)

    # Parameters are applied here, after the check, since another validator may still refuse; the
    # callback that rclpy has for it does not exist on Humble.
    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """Set parameters, each on its own, and apply the accepted ones."""
        results = super().set_parameters(parameter_list)
        self._apply_parameters(accepted=any(result.successful for result in results))
        return results

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """Set parameters, all or none, and apply them."""
        result = super().set_parameters_atomically(parameter_list)
        self._apply_parameters(accepted=result.successful)
        return result

    def destroy_node(self) -> None:
        """Stop the inference and remove the node."""
        self._deactivate()
        self._captures.close()
        logging.getLogger("tdnet").removeHandler(self._log_handler)
        super().destroy_node()
        # rclpy does not destroy it, and it would keep the node in the graph until the middleware
        # notices the end of the process: 20 s with Fast DDS.
        self._state_machine.destroy_when_not_in_use()

    async def _start(self) -> None:
        def start() -> None:
            if self._configurable and self.trigger_configure() == SUCCESS:
                self.trigger_activate()

        await self._load_first(start)

    async def _load_first(self, then: Callable[[], None]) -> None:
        await self._model.load_first(lambda: self._configurable, then)

    @property
    def _configurable(self) -> bool:
        return self._model.active is None and not self._finalized

    def _apply_parameters(self, *, accepted: bool) -> None:
        if accepted:
            node_parameters.follow_cameras(self)
            settings = node_parameters.read(self)
            self._diagnostics.set_period(settings.diagnostics_period)
            self._model.apply(settings)
        self._model.forget()

    def _replace_model(self, before: ActiveModel, model: ActiveModel) -> None:
        if self._session is not None:
            changed = model.classes != before.classes
            self._session.use(
                model, then=lambda: self._publish_classes(model) if changed else None
            )

    def _restart_gaps(self) -> None:
        for camera in self._cameras.values():
            camera.statistics.forget_gaps()

    def _publish_classes(self, model: ActiveModel) -> None:
        if self._class_outputs is not None:
            self._class_outputs.publish(model)

    def _deactivate(self) -> None:
        bond, self._bond = self._bond, None
        if bond is not None:
            try:
                bond.close()
            except Exception as error:  # the session must end all the same
                self.get_logger().error(f"while the bond was closed, {describe(error)}")
        if self._session is not None:
            self._outlasting = self._session.stop()
            self._session = None

    def _free(self) -> None:
        self._deactivate()
        # No thread is at work with the next model.
        self._outlasting = None
        self._model.free()
        if self._class_outputs is not None:
            self._class_outputs.destroy()
            self._class_outputs = None
        for camera in self._cameras.values():
            camera.outputs.destroy()
        self._cameras.clear()
        self._captures.clear()
        release_memory()

    def _failed(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        self._failure = f"cannot {transition}: {describe(error)}"
        self.get_logger().error(self._failure)
        return FAILURE

    def _snapshot(self) -> NodeSnapshot:
        state = "inactive" if self._session is None else "active"
        if self._model.active is None:
            state = "finalized" if self._finalized else "unconfigured"
        problems = self._model.device.problems
        if self._outlasting is not None and self._outlasting.is_alive():
            problems += (OUTLASTING,)
        own = (self.get_name(), self.get_namespace())
        return NodeSnapshot(
            self.get_fully_qualified_name(),
            state,
            self._failure,
            self._model.active,
            self._cameras,
            problems,
            loading=self._model.loading_first,
            namesakes=self.get_node_names_and_namespaces().count(own) - 1,
            start=self._process,
        )

    def _reset_memory(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        if self._session is None:
            response.message = "not active: there is no memory to reset"
            return response
        for camera in self._cameras.values():
            camera.reset(ResetReason.REQUESTED)
        response.success = True
        response.message = "the next frame of each camera starts with an empty memory"
        return response

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        result = self.set_parameters_atomically([Parameter("enable", value=request.data)])
        response.success = result.successful
        state = "enabled" if request.data else "paused: frames are counted and dropped"
        response.message = result.reason or state
        return response


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM; see `tdnet_ros.process.run`."""
    return run(lambda start: SegmentNode(start=start), args)


if __name__ == "__main__":
    sys.exit(main())
