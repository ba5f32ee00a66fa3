"""Where a camera's images are, if the topic has no publisher of the type that the node takes."""

from __future__ import annotations

from collections.abc import Callable, Collection

from rclpy.node import Node

from tdnet.errors import one_line

RAW = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
_SUFFIX = "/compressed"


def image_type(image_transport: str) -> str:
    """Return the type that the node takes: `RAW` or `COMPRESSED`."""
    return COMPRESSED if image_transport == "compressed" else RAW


def published_types(node: Node, topic: str) -> list[str]:
    """Return the message type of each publisher of a topic, of whatever type it is."""
    return [info.topic_type for info in node.get_publishers_info_by_topic(topic)]


def explain_misplaced(
    topic: str, image_transport: str, types: Callable[[str], Collection[str]]
) -> str:
    """Name the images of another type, or of the other transport's topic, and the remedy.

    Publishers of another type are not connected: without this they look like lost frames.

    Args:
        topic: fully qualified, without a publisher of the expected type.
        image_transport: of the node, raw or compressed.
        types: returns the message types that are published on a topic.

    Returns:
        One sentence; empty where there are no such images.
    """
    found, expected = types(topic), image_type(image_transport)
    base = topic.removesuffix(_SUFFIX)
    # Any peer chooses what its type is called.
    names = one_line(", ".join(sorted(set(found))))
    carries = f"{topic} carries {names}, not {expected}"
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
        if COMPRESSED not in types(topic + _SUFFIX):
            return ""
        return (
            f"no publisher of {topic}, but {topic}{_SUFFIX} carries {COMPRESSED}: start with "
            "image_transport:=compressed"
        )
    if base.endswith(_SUFFIX):
        return (
            f"no publisher of {topic}: image_transport:=compressed appends {_SUFFIX} itself; give "
            f"the topic without it ({base.removesuffix(_SUFFIX)})"
        )
    if RAW in types(base):
        return (
            f"no publisher of {topic}, but {base} carries {RAW}: start with image_transport:=raw"
        )
    return ""
