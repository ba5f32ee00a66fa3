"""Who cannot be connected: publishers and subscribers whose QoS does not fit ours."""

from __future__ import annotations

import threading
from typing import Any

from rclpy.qos import qos_policy_name_from_kind

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


class QosIncidents:
    """Remembers the incompatible peers that the middleware reports, by topic."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_topic: dict[str, str] = {}

    def subscription_callbacks(self, topic: str) -> SubscriptionEventCallbacks:
        """Give callbacks that remember publishers whose offer is too weak for us."""

        def remember(event: Any) -> None:  # noqa: ANN401  its type differs between distributions
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self._remember(
                topic,
                f"the publisher of {topic} offers an incompatible QoS ({policy}); "
                f"set qos_overrides.{topic}.subscription to what it offers",
            )

        return SubscriptionEventCallbacks(incompatible_qos=remember)

    def publisher_callbacks(self, topic: str) -> PublisherEventCallbacks:
        """Give callbacks that remember subscribers that ask for more than we offer."""

        def remember(event: Any) -> None:  # noqa: ANN401  its type differs between distributions
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self._remember(
                topic,
                f"a subscriber of {topic} asks for an incompatible QoS ({policy}); "
                "ask for volatile durability, reliable or best effort",
            )

        return PublisherEventCallbacks(incompatible_qos=remember)

    def clear(self) -> None:
        """Forget every topic."""
        with self._lock:
            self._by_topic.clear()

    def forget(self, topic: str) -> None:
        """Take a topic for connected again."""
        with self._lock:
            self._by_topic.pop(topic, None)

    @property
    def texts(self) -> list[str]:
        """One line for each topic with an incompatible peer."""
        with self._lock:
            return list(self._by_topic.values())

    def _remember(self, topic: str, text: str) -> None:
        with self._lock:
            self._by_topic[topic] = text
