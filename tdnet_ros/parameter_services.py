"""The services that set parameters, in a form that may take its time while frames go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_parameters

from tdnet_ros import parameters
from tdnet_ros.parameter_values import typed
from tdnet_ros.rclpy_tools.log_throttle import describe

SetTogether = Callable[[list[Parameter]], Awaitable[SetParametersResult]]


class SetParametersServices:
    """`~/set_parameters` and `~/set_parameters_atomically`.

    They take the place of rclpy's own, whose callbacks keep the executor until they have an
    answer. These wait for it in a coroutine: the executor serves images and other requests
    meanwhile.

    Args:
        node: whose parameters are set.
        set_together: sets parameters, all or none, and gives the result.
    """

    def __init__(self, node: Node, set_together: SetTogether) -> None:
        self._set_together = set_together
        # Requests may overlap, and neither may keep the node's other callbacks waiting.
        group = ReentrantCallbackGroup()
        for service in list(node.services):
            if service.srv_type in (SetParameters, SetParametersAtomically):
                node.destroy_service(service)
        node.create_service(
            SetParameters,
            "~/set_parameters",
            self._set,
            qos_profile=qos_profile_parameters,
            callback_group=group,
        )
        node.create_service(
            SetParametersAtomically,
            "~/set_parameters_atomically",
            self._set_atomically,
            qos_profile=qos_profile_parameters,
            callback_group=group,
        )

    async def _set(
        self, request: SetParameters.Request, response: SetParameters.Response
    ) -> SetParameters.Response:
        messages = request.parameters
        results: dict[int, SetParametersResult] = {}
        for indices in parameters.set_together([message.name for message in messages]):
            result = await self._answer([messages[index] for index in indices])
            results.update((index, result) for index in indices)
        response.results = [results[index] for index in range(len(messages))]
        return response

    async def _set_atomically(
        self, request: SetParametersAtomically.Request, response: SetParametersAtomically.Response
    ) -> SetParametersAtomically.Response:
        response.result = await self._answer(request.parameters)
        return response

    async def _answer(self, messages: Sequence[ParameterMessage]) -> SetParametersResult:
        try:
            given = [Parameter.from_parameter_msg(message) for message in messages]
            return await self._set_together([typed(parameter) for parameter in given])
        # An unknown name, the wrong type, or a type that ROS does not have.
        except ValueError as error:
            return SetParametersResult(successful=False, reason=describe(error))
