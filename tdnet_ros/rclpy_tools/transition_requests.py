"""The service `~/change_state` with coroutines and answers that rclpy's own lacks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode

ChangeStateCallback = Callable[[ChangeState.Request, ChangeState.Response], ChangeState.Response]
LoadFirst = Callable[[Callable[[], None]], Awaitable[None]]


def serve_transitions(node: LifecycleNode, load_first: LoadFirst, group: CallbackGroup) -> None:
    """Make the service wait for a model in a coroutine, and refuse impossible transitions.

    While a model loads for configure, the executor serves all other requests. A transition that
    the node's state does not allow is answered with ``success: false``. Before Kilted, rclpy does
    so for labels only: a request with the id of a transition, as Nav2's lifecycle manager sends
    it, raises in the executor and is never answered.

    `load_first` loads a model, then calls its argument. The group must be a reentrant one, so that
    requests may overlap.
    """
    for service in node.services:
        if service.srv_type is ChangeState:
            service.callback = _serving(service.callback, load_first)
            service.callback_group = group
            group.add_entity(service)


def _serving(
    change_state: ChangeStateCallback, load_first: LoadFirst
) -> Callable[[ChangeState.Request, ChangeState.Response], Awaitable[ChangeState.Response]]:
    async def serve(
        request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        def change() -> None:
            try:
                change_state(request, response)
            except RuntimeError:  # RCLError is one
                response.success = False

        label, number = request.transition.label, request.transition.id
        if label == "configure" or (not label and number == Transition.TRANSITION_CONFIGURE):
            await load_first(change)
        else:
            change()
        return response

    return serve
