"""`~/change_state`: a transition that is not possible now is refused on every distribution."""

from __future__ import annotations

from collections.abc import Callable

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode

Answer = Callable[[ChangeState.Request, ChangeState.Response], ChangeState.Response]


def refuse_impossible_transitions(node: LifecycleNode) -> None:
    """Have the service answer ``success: false`` to what the node's state does not allow.

    Before Kilted rclpy does so for labels only: a request with the id of a transition, as Nav2's
    lifecycle manager sends it, raises in the executor and is never answered.
    """
    for service in node.services:
        if service.srv_type is ChangeState:
            service.callback = _refusing(service.callback)


def _refusing(change_state: Answer) -> Answer:
    def answer(
        request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        try:
            return change_state(request, response)
        except RuntimeError:  # RCLError is one
            response.success = False
            return response

    return answer
