"""The lifecycle node that segments camera images."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown
from std_srvs.srv import Trigger

from tdnet.continuity import ResetReason
from tdnet.errors import TdnetError
from tdnet_ros import parameters
from tdnet_ros.activity import Activity
from tdnet_ros.camera import Camera
from tdnet_ros.class_messages import ClassPublishers
from tdnet_ros.diagnostics import Diagnostics, NodeView
from tdnet_ros.frame_pipeline import Recipe
from tdnet_ros.log_throttle import describe, one_line
from tdnet_ros.process_memory import give_back
from tdnet_ros.publishers import CameraPublishers
from tdnet_ros.qos_events import QosIncidents
from tdnet_ros.ros_log_handler import RosLogHandler

SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
# A signal must end the process within a second, whatever it is busy with.
SHUTDOWN_SECONDS = 0.7


class SegmentNode(LifecycleNode):
    """Segments the images of one or several cameras with one network.

    configure loads the model, activate opens the subscriptions, deactivate closes them, cleanup
    frees the model.

    Args:
        name: of the node, as far as it is not remapped.
        parameter_overrides: values that win over those of command line and files.

    Raises:
        TdnetError: a parameter has a value that is not allowed.
    """

    def __init__(
        self,
        name: str = "tdnet",
        *,
        parameter_overrides: list[Parameter] | None = None,
    ) -> None:
        super().__init__(name, parameter_overrides=parameter_overrides)
        self._log_handler = RosLogHandler(self.get_logger())
        self._log_handler.attach()
        self._finalized = False
        self._failure = ""
        self._recipe: Recipe | None = None
        self._cameras: dict[str, Camera] = {}
        self._class_publishers: ClassPublishers | None = None
        self._activity: Activity | None = None
        try:
            settings = parameters.declare(self)
        except TdnetError:
            self.destroy_node()
            raise
        self.add_on_set_parameters_callback(self._check_parameters)
        # Applied after the check, since another validator may still refuse.
        if hasattr(self, "add_post_set_parameters_callback"):
            self.add_post_set_parameters_callback(lambda _: self._apply_parameters())
            self._changed = None
        else:
            # Humble does not tell when parameters are set: look once the executor is free again.
            self._changed = self.create_guard_condition(self._apply_parameters)
        self._diagnostics = Diagnostics(self, self._view, settings.diagnostics_period)
        self.create_service(Trigger, "~/reset_memory", self._reset_memory)
        if settings.autostart:
            self._autostart = self.create_guard_condition(self._start)
            self._autostart.trigger()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and create the output topics."""
        try:
            settings = parameters.read(self)
            recipe = Recipe.create(settings.segmenter.build(), settings)
            self._class_publishers = ClassPublishers(self)
            for name in settings.cameras or ("",):
                self._cameras[name] = self._create_camera(name, settings.image_transport)
            result = super().on_configure(state)
        # Not only TdnetError: whatever a device raises must leave the node unconfigured.
        except Exception as error:
            self._free()
            return self._failed("configure", error)
        self._recipe = recipe
        model = recipe.segmenter
        self.get_logger().info(
            f"configured: {model.variant.name} at {model.input_size[0]} x {model.input_size[1]} "
            f"on {model.device}, {model.precision}"
        )
        self._failure = ""
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Warm up the model and take in frames, each camera with an empty memory."""
        recipe = self._recipe
        if recipe is None:
            return FAILURE
        try:
            recipe.segmenter.warm_up()
            result = super().on_activate(state)
            self._activity = Activity(self, self._cameras, recipe)
            self._publish_classes(recipe)
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
        """Take in no more frames and publish nothing more, also not of the frame at work."""
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
        return super().on_error(state)

    def destroy_node(self) -> None:
        """Stop the inference and remove the node."""
        self._deactivate()
        self._log_handler.detach()
        super().destroy_node()

    def _start(self) -> None:
        if self._recipe is None and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def _create_camera(self, name: str, image_transport: str) -> Camera:
        # As image_transport does it: the remapped image topic with the transport's name appended.
        topic = self.resolve_topic_name(f"{name}/image" if name else "image")
        if image_transport == "compressed":
            topic += "/compressed"
        incidents = QosIncidents()
        publishers = CameraPublishers(self, f"~/{name}" if name else "~", incidents)
        return Camera(name, topic, publishers, incidents)

    def _publish_classes(self, recipe: Recipe) -> None:
        if self._class_publishers is not None:
            self._class_publishers.publish(recipe)

    def _deactivate(self) -> None:
        if self._activity is not None:
            self._activity.stop()
            self._activity = None

    def _free(self) -> None:
        self._deactivate()
        self._recipe = None
        if self._class_publishers is not None:
            self._class_publishers.destroy()
            self._class_publishers = None
        for camera in self._cameras.values():
            camera.publishers.destroy()
        self._cameras.clear()
        give_back()

    def _failed(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        self._failure = f"cannot {transition}: {describe(error)}"
        self.get_logger().error(self._failure)
        return FAILURE

    def _view(self) -> NodeView:
        if self._finalized:
            state = "finalized"
        elif self._recipe is None:
            state = "unconfigured"
        else:
            state = "inactive" if self._activity is None else "active"
        return NodeView(state, self._failure, self._recipe, self._cameras)

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            parameters.check_change_allowed(changed, configured=self._recipe is not None)
            settings = parameters.read(self, changed)
            if self._recipe is not None:
                Recipe.create(self._recipe.segmenter, settings)
        except TdnetError as error:
            return SetParametersResult(successful=False, reason=one_line(error))
        if self._changed is not None:
            self._changed.trigger()
        return SetParametersResult(successful=True)

    def _apply_parameters(self) -> None:
        settings = parameters.read(self)
        self._diagnostics.set_period(settings.diagnostics_period)
        if self._recipe is None:
            return
        old = self._recipe.settings
        self._recipe = Recipe.create(self._recipe.segmenter, settings)
        if self._activity is None:
            return
        self._activity.use(self._recipe)
        classes = (settings.overlay.hidden_classes, settings.confidence_threshold)
        if classes != (old.overlay.hidden_classes, old.confidence_threshold):
            self._publish_classes(self._recipe)

    def _reset_memory(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        if self._activity is None:
            response.message = "not active: there is no memory to reset"
            return response
        for camera in self._cameras.values():
            camera.reset(ResetReason.REQUESTED)
        response.success = True
        response.message = "the next frame of each camera starts with an empty memory"
        return response


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM.

    Args:
        args: command line with ROS arguments; None: that of the process.

    Returns:
        Exit status: 0 after a signal, 1 where the node could not start.
    """
    ending = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ending.set()

    # Our own handlers, since those of rclpy cannot end a process that loads a model.
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = SegmentNode()
    except (TdnetError, RuntimeError) as error:
        get_logger("tdnet").fatal(one_line(error))
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    failures: list[BaseException] = []

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        except BaseException as error:
            if not ending.is_set():
                failures.append(error)
        finally:
            ending.set()

    spinning = threading.Thread(target=spin, name="executor", daemon=True)
    spinning.start()
    ending.wait()

    def finish() -> None:
        executor.shutdown(timeout_sec=0)
        spinning.join()
        node.destroy_node()
        try_shutdown()

    finishing = threading.Thread(target=finish, name="shutdown", daemon=True)
    finishing.start()
    finishing.join(SHUTDOWN_SECONDS)
    if failures:
        raise failures[0]
    if finishing.is_alive():
        # Busy in a model that loads or a frame that takes long: neither can be interrupted.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
