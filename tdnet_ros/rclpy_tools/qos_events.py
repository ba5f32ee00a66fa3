"""Publishers and subscribers with a QoS that is incompatible with the node's."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible, qos_policy_name_from_kind

try:
    from rclpy.event_handler import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )
except ImportError:  # Humble
    from rclpy.qos_event import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )

# Seconds after an event in which the graph may not know the peer yet.
DISCOVERY_SECONDS = 1.0


class _Incident(NamedTuple):
    text: str
    at: float


class QosIncidents:
    """Stores the incompatible peers that the middleware reports, by topic, until they leave.

    For the executor's thread only.
    """

    def __init__(self) -> None:
        self._by_topic: dict[str, _Incident] = {}

    def subscription_callbacks(
        self, topic: str, lose: Callable[[int], object]
    ) -> SubscriptionEventCallbacks:
        """Return callbacks that store publishers whose offer is too weak for the node.

        `lose` is called with the number of lost messages, if the middleware counts them.
        """
        text = (
            f"the publisher of {topic} offers an incompatible QoS (%s); "
            f"set qos_overrides.{topic}.subscription to what it offers"
        )
        return _SupportedCallbacks(
            incompatible_qos=self._storing(topic, text),
            message_lost=lambda event: lose(event.total_count_change),
        )

    def publisher_callbacks(self, topic: str) -> PublisherEventCallbacks:
        """Return callbacks that store subscribers that request more than the node offers."""
        text = (
            f"a subscriber of {topic} asks for an incompatible QoS (%s); "
            "ask for volatile durability, reliable or best effort"
        )
        return PublisherEventCallbacks(incompatible_qos=self._storing(topic, text))

    def recheck(self, node: Node) -> None:
        """Forget the topics that no longer have a peer incompatible with the node's endpoint."""
        latest = time.monotonic() - DISCOVERY_SECONDS
        for topic, incident in list(self._by_topic.items()):
            if incident.at < latest and not _has_incompatible_peer(node, topic):
                del self._by_topic[topic]

    @property
    def texts(self) -> tuple[str, ...]:
        """One line for each topic with an incompatible peer."""
        return tuple(incident.text for incident in self._by_topic.values())

    def _storing(self, topic: str, text: str) -> Callable[[Any], None]:
        def store(event: Any) -> None:  # noqa: ANN401  its type differs between distributions
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self._by_topic[topic] = _Incident(text % policy, time.monotonic())

        return store


def _has_incompatible_peer(node: Node, topic: str) -> bool:
    us = node.get_name(), node.get_namespace()
    publishers = node.get_publishers_info_by_topic(topic)
    subscriptions = node.get_subscriptions_info_by_topic(topic)
    return any(
        qos_check_compatible(publisher.qos_profile, subscription.qos_profile)[0]
        == QoSCompatibility.ERROR
        for publisher, subscription in product(publishers, subscriptions)
        if us in ((end.node_name, end.node_namespace) for end in (publisher, subscription))
    )


class _SupportedCallbacks(SubscriptionEventCallbacks):
    """Omits the count of lost messages if the middleware has no such event."""

    def create_event_handlers(self, *args: Any, **kwargs: Any) -> list[Any]:  # noqa: ANN401
        """Create the handlers; the arguments differ between distributions."""
        try:
            return super().create_event_handlers(*args, **kwargs)
        except UnsupportedEventTypeError:
            self.message_lost = None
            return super().create_event_handlers(*args, **kwargs)
