"""Where a camera's images are, if its topic has no publisher of the expected type."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rclpy.node import Node

from tdnet.errors import one_line

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
_SUFFIX = "/compressed"


def image_type(image_transport: str) -> str:
    """Return the message type that the node subscribes to."""
    return COMPRESSED if image_transport == "compressed" else RAW


def publisher_types(node: Node, topic: str, image_transport: str) -> Mapping[str, Collection[str]]:
    """Return the message types published on the input topic.

    If the expected type is not among them, those of the topics with and without the suffix of
    the compressed transport too.

    Args:
        node: A node of the graph.
        topic: Fully qualified topic.
        image_transport: Parameter of the node.
    """
    found = {topic: [info.topic_type for info in node.get_publishers_info_by_topic(topic)]}
    if image_type(image_transport) not in found[topic]:
        for other in {topic + _SUFFIX, topic.removesuffix(_SUFFIX)} - {topic}:
            publishers = node.get_publishers_info_by_topic(other)
            found[other] = [info.topic_type for info in publishers]
    return found


def explain_misplaced(
    topic: str, image_transport: str, types: Mapping[str, Collection[str]]
) -> str:
    """Return where the images are and the remedy, in one sentence; empty if there are none.

    Publishers of another type are not connected. Without this, they look like lost frames.

    Args:
        topic: Fully qualified topic without a publisher of the expected type.
        image_transport: Parameter of the node.
        types: Result of `publisher_types`.
    """
    found, base = types.get(topic, ()), topic.removesuffix(_SUFFIX)
    # The name of a type is chosen by the peer.
    names = one_line(", ".join(sorted(set(found))))
    carries = f"{topic} carries {names}, not {image_type(image_transport)}"
    if COMPRESSED in found and base != topic:
        return (
            f"{carries}: start with image_transport:=compressed and the topic without "
            f"{_SUFFIX} ({base})"
        )
    if COMPRESSED in found:
        return (
            f"{carries}: start with image_transport:=compressed and remap "
            f"{topic}{_SUFFIX} to {topic}"
        )
    if RAW in found:
        return f"{carries}: start with image_transport:=raw and this topic ({topic})"
    if found:
        return f"{carries}: remap the input to a topic of images"
    if image_transport != "compressed":
        if COMPRESSED not in types.get(topic + _SUFFIX, ()):
            return ""
        return (
            f"no publisher of {topic}, but {topic}{_SUFFIX} carries {COMPRESSED}: start with "
            "image_transport:=compressed"
        )
    if base.endswith(_SUFFIX):
        return (
            f"no publisher of {topic}: image_transport:=compressed appends {_SUFFIX} itself; set "
            f"the topic without it ({base.removesuffix(_SUFFIX)})"
        )
    if RAW in types.get(base, ()):
        return (
            f"no publisher of {topic}, but {base} carries {RAW}: start with image_transport:=raw"
        )
    return ""
