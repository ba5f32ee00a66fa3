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
    """
    found, base = types.get(topic, ()), topic.removesuffix(_SUFFIX)
    is_compressed = image_type(image_transport) == COMPRESSED
    start = "start with image_transport:="
    if found:
        if COMPRESSED in found and base != topic:
            remedy = f"{start}compressed and the topic without {_SUFFIX} ({base})"
        elif COMPRESSED in found:
            remedy = f"{start}compressed and remap {topic}{_SUFFIX} to {topic}"
        elif RAW in found:
            remedy = f"{start}raw and this topic ({topic})"
        else:
            remedy = "remap the input to a topic of images"
        # The name of a type is chosen by the peer.
        names = one_line(", ".join(sorted(set(found))))
        return f"{topic} carries {names}, not {image_type(image_transport)}: {remedy}"
    if is_compressed and base.endswith(_SUFFIX):
        return (
            f"no publisher of {topic}: image_transport:=compressed appends {_SUFFIX} itself; set "
            f"the topic without it ({base.removesuffix(_SUFFIX)})"
        )
    other, kind = (base, RAW) if is_compressed else (topic + _SUFFIX, COMPRESSED)
    if kind not in types.get(other, ()):
        return ""
    transport = "raw" if is_compressed else "compressed"
    return f"no publisher of {topic}, but {other} carries {kind}: {start}{transport}"
