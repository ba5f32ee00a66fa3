"""The bond with Nav2's lifecycle manager, by the ROS package bondpy if it is installed."""

from __future__ import annotations

import importlib
from typing import Any

from rclpy.lifecycle import LifecycleNode

from tdnet.errors import TdnetError

# As the servers of Nav2 do it: topic below the namespace, and seconds.
TOPIC = "bond"
HEARTBEAT_PERIOD = 0.25
HEARTBEAT_TIMEOUT = 4.0
# The parameter that bondpy declares at each timeout of the heartbeat.
DISABLE_TIMEOUT = "/bond_disable_heartbeat_timeout"


class BondError(TdnetError):
    """A bond that cannot be formed."""


def check_bondpy() -> Any:  # noqa: ANN401
    """Return the class of a bond; raise a BondError without the package."""
    try:
        return importlib.import_module("bondpy.bondpy").Bond
    # A package of another purpose has the same name.
    except (ImportError, AttributeError) as error:
        raise BondError(
            f"bond is true, but the ROS package bondpy cannot be used ({error}): install "
            "ros-$ROS_DISTRO-bondpy, or set bond to false and bond_timeout of the lifecycle "
            "manager to 0.0"
        ) from None


class ManagerBond:
    """Tells a lifecycle manager that an active node lives, until it is closed.

    Raises:
        BondError: bondpy is not installed.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._open = True
        self._bond = check_bondpy()(node, TOPIC, node.get_name(), on_broken=self._broken)
        self._bond.set_heartbeat_period(HEARTBEAT_PERIOD)
        self._bond.set_heartbeat_timeout(HEARTBEAT_TIMEOUT)
        self._bond.start()

    def close(self) -> None:
        """Break the bond, and remove its topic from the node."""
        self._open = False
        self._bond.shutdown()
        # Its next declaration would fail in a thread of bondpy, without a word.
        if self._node.has_parameter(DISABLE_TIMEOUT):
            self._node.undeclare_parameter(DISABLE_TIMEOUT)
        # bondpy destroys both, but the node still lists them.
        self._node.destroy_subscription(self._bond.sub)
        self._node.destroy_publisher(self._bond.pub)

    def _broken(self) -> None:
        if self._open:
            self._node.get_logger().warning(
                "no bond with a lifecycle manager: none has formed or kept it; start a manager "
                f"that lists {self._node.get_name()} in node_names, or set bond to false"
            )
